r"""Which program a jump list is of: its file's name is a hash of the program's id.

The hash is a CRC-64 of the id in upper case, UTF-16LE, all bits set at first: of the program's
AppUserModelID where it has one, else of its path, whose known folder is written as its GUID.
Polynomial (reflected): 0x92C64265D32139A4. So the table below holds ids, and what a file of
another program is called can be computed from its path.
"""

import functools

_POLYNOMIAL = 0x92C64265D32139A4
_SYSTEM = "{1AC14E77-02E7-4E5D-B744-2EB1AE5198B7}"
_SYSTEM_X86 = "{D65231B0-B2F1-4857-A4CE-A8E7C6EA7D27}"
_WINDOWS = "{F38BF404-1D43-42F2-9305-67DE0B28FC23}"
_PROGRAMS = "{6D809377-6AF0-444B-8957-A3773F02200E}"
_PROGRAMS_X86 = "{7C5A40EF-A0FB-4BFC-874A-C0F2E0B9FA8E}"

_IDS = """
Microsoft.Windows.Explorer
Microsoft.Windows.ControlPanel
Microsoft.Windows.RemoteDesktop
Microsoft.Windows.StickyNotes
Microsoft.Windows.MediaPlayer32
Microsoft.Windows.MediaPlayer64
Microsoft.Windows.MediaCenter
Microsoft.Windows.WindowsInstaller
Microsoft.Windows.Computer
Microsoft.Windows.Photos_8wekyb3d8bbwe!App
Microsoft.WindowsNotepad_8wekyb3d8bbwe!App
Microsoft.WindowsTerminal_8wekyb3d8bbwe!App
Microsoft.Paint_8wekyb3d8bbwe!App
Microsoft.ZuneVideo_8wekyb3d8bbwe!Microsoft.ZuneVideo
Microsoft.ZuneMusic_8wekyb3d8bbwe!Microsoft.ZuneMusic
Microsoft.MicrosoftEdge_8wekyb3d8bbwe!MicrosoftEdge
MSEdge
Microsoft.InternetExplorer.Default
Microsoft.Office.WINWORD.EXE.14
Microsoft.Office.EXCEL.EXE.14
Microsoft.Office.POWERPNT.EXE.14
Microsoft.Office.OUTLOOK.EXE.14
Microsoft.Office.ONENOTE.EXE.14
Microsoft.Office.MSACCESS.EXE.14
Microsoft.Office.WINWORD.EXE.15
Microsoft.Office.EXCEL.EXE.15
Microsoft.Office.POWERPNT.EXE.15
Microsoft.Office.OUTLOOK.EXE.15
Microsoft.Office.ONENOTE.EXE.15
Microsoft.Office.MSACCESS.EXE.15
Microsoft.Office.MSPUB.EXE.15
Microsoft.Office.VISIO.EXE.15
Microsoft.VisualStudioCode
Chrome
308046B0AF4A39CB
E7CF176E110C211B
"""
_FILES = r"""
@system\notepad.exe
@system\mspaint.exe
@system\cmd.exe
@system\mstsc.exe
@system\mmc.exe
@system\SnippingTool.exe
@system\calc.exe
@system\WindowsPowerShell\v1.0\powershell.exe
@system\WindowsPowerShell\v1.0\powershell_ise.exe
@windows\notepad.exe
@windows\regedit.exe
@windows\explorer.exe
@programs\Windows NT\Accessories\WORDPAD.EXE
@programs\Windows Photo Viewer\PhotoViewer.dll
@programs\Internet Explorer\iexplore.exe
@programs\7-Zip\7zFM.exe
@programs\WinRAR\WinRAR.exe
@programs\Notepad++\notepad++.exe
@programs\VideoLAN\VLC\vlc.exe
@programs\PuTTY\putty.exe
@programs\WinSCP\WinSCP.exe
@programs\FileZilla FTP Client\filezilla.exe
@programs\Google\Chrome\Application\chrome.exe
@programs\Mozilla Firefox\firefox.exe
@programs\Adobe\Acrobat DC\Acrobat\Acrobat.exe
@programs\Adobe\Acrobat Reader DC\Reader\AcroRd32.exe
@programs\TeamViewer\TeamViewer.exe
@programs\AnyDesk\AnyDesk.exe
@programs\Microsoft Office\root\Office16\WINWORD.EXE
@programs\Microsoft Office\root\Office16\EXCEL.EXE
@programs\Microsoft Office\root\Office16\POWERPNT.EXE
"""
_NAMED = {"308046B0AF4A39CB": "Mozilla Firefox", "E7CF176E110C211B": "Mozilla Firefox (x86)"}


def _byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_BYTES = [_byte(value) for value in range(256)]


def app_id(name: str) -> str:
    """The hash of a program's id or path, as jump lists are called by it."""
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in name.upper().encode("utf-16-le"):
        crc = _BYTES[(crc ^ byte) & 0xFF] ^ crc >> 8
    return f"{crc:x}"


@functools.cache
def names() -> dict[str, str]:
    """Name of a program by the hash of its id."""
    found = {app_id(name): _NAMED.get(name, name) for name in _IDS.split()}
    for line in _FILES.strip().splitlines():
        folder, rest = line.split("\\", 1)
        roots = {"@system": (_SYSTEM, _SYSTEM_X86), "@windows": (_WINDOWS,),
                 "@programs": (_PROGRAMS, _PROGRAMS_X86)}[folder]
        for root in roots:
            found[app_id(f"{root}\\{rest}")] = rest.rsplit("\\", 1)[-1]
    return found
