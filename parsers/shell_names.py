"""Names of folders that the shell knows by a GUID: CLSIDs of its namespace and known folders.

The names are those that Windows shows in English ([MS-SHLLINK] leaves them to the registry:
HKCR\\CLSID\\<GUID>; known folders: FOLDERID_* of KnownFolders.h).
"""

_TEXT = """
20d04fe0-3aea-1069-a2d8-08002b30309d My Computer
5e5f29ce-e0a8-49d3-af32-7a7bdc173478 My Computer
208d2c60-3aea-1069-a2d7-08002b30309d My Network Places
f02c1a0d-be21-4350-88b0-7367fc96ef3c Network
450d8fba-ad25-11d0-98a8-0800361b1103 My Documents
645ff040-5081-101b-9f08-00aa002f954e Recycle Bin
871c5380-42a0-1069-a2ea-08002b30309d Internet Explorer
fbf23b42-e3f0-101b-8488-00aa003e56f8 Internet Explorer
21ec2020-3aea-1069-a2dd-08002b30309d Control Panel
26ee0668-a00a-44d7-9371-beb064c98683 Control Panel
5399e694-6ce5-4d6c-8fce-1d8870fdcba0 Control Panel
ed7ba470-8e54-465e-825c-99712043e01c All Tasks
2227a280-3aea-1069-a2de-08002b30309d Printers
7007acc7-3202-11d1-aad2-00805fc1270e Network Connections
992cffa0-f557-101a-88ec-00dd010ccc48 Network Connections
d20ea4e1-3957-11d2-a40b-0c5020524153 Administrative Tools
d20ea4e1-3957-11d2-a40b-0c5020524152 Fonts
bd84b380-8ca2-1069-ab1d-08000948f534 Fonts
d6277990-4c6a-11cf-8d87-00aa0060f5bf Scheduled Tasks
00021400-0000-0000-c000-000000000046 Desktop
031e4825-7b94-4dc3-b131-e946b44c8dd5 Libraries
59031a47-3f72-44a7-89c5-5595fe6b30ee Users Files
dffacdc5-679f-4156-8947-c5c76bc0b67f Users Files
4336a54d-038b-4685-ab02-99bb52d3fb8b Public
b4fb3f98-c1ea-428d-a78a-d1f5659cba93 HomeGroup
6785bfac-9d2d-4be5-b7e2-59937e8fb80a HomeGroup
323ca680-c24d-4099-b94d-446dd2d7249e Favorites
679f85cb-0220-4080-b29b-5540cc05aab6 Quick Access
f874310e-b6b7-47dc-bc84-b9e6b38f5903 Home
22877a6d-37a1-461a-91b0-dbda5aaebc99 Recent Places
3936e9e4-d92c-4eee-a85a-bc16d5ea0819 Frequent Places
4564b25e-30cd-4787-82ba-39e73a750b14 Recent Items
1f3427c8-5c10-4210-aa03-2ee45287d668 User Pinned
8e74d236-7f35-4720-b138-1fed0b85ea75 OneDrive
018d5c66-4533-4307-9b53-224de2ed1fe6 OneDrive
04271989-c4d2-4ff7-a5f1-b0d5b8a6c0e5 OneDrive
9343812e-1c37-4a49-a12e-4b2d810d956b Search Home
e17d4fc0-5564-11d1-83f2-00a0c90dc849 Search Results
1f4de370-d627-11d1-ba4f-00a0c91eedba Computer Search Results
04731b67-d933-450a-90e6-4acd2e9408fe Search Folder
2965e715-eb66-4719-b53f-1672673bbefa Results Folder
bdeadf00-c265-11d0-bced-00a0c90ab50f Web Folders
63da6ec0-2e98-11cf-8d82-444553540000 FTP Folder
35786d3c-b075-49b9-88dd-029876e11c01 Portable Devices
640167b4-59b0-47a6-b335-a6b3c0695aea Portable Media Devices
f5fb2c77-0e2f-4a16-a381-3e560c68bc83 Removable Drives
a6482830-08eb-41e2-84c1-73920c2badb9 Removable Storage Devices
28803f59-3a75-4058-995f-4ee5503b023c Bluetooth Devices
a8a91a66-3a7d-4424-8d24-04e180695c7a Devices and Printers
8e908fc9-becc-40f6-915b-f4ca0e70d03d Network and Sharing Center
1fa9085f-25a2-489b-85d4-86326eedcd87 Manage Wireless Networks
7b81be6a-ce2b-4676-a29e-eb907a5126c5 Programs and Features
d450a8a1-9568-45c7-9c0e-b4f9fb4537bd Installed Updates
67718415-c450-4f3c-bf8a-b487642dc39b Windows Features
bb06c0e4-d293-4f75-8a90-cb05b6477eee System
bb64f8a7-bee7-4e1a-ab8d-7d8273f7fdb6 Security and Maintenance
9f433b7c-5f96-4ce1-ac28-aeaa1cc04d7c Security Center
4026492f-2f69-46b8-b9bf-5654fc07e423 Windows Firewall
d8559eb9-20c0-410e-beda-7ed416aecc2a Windows Defender
36eef7db-88ad-4e81-ad49-0e313f0c35f8 Windows Update
60632754-c523-4b62-b45c-4172da012619 User Accounts
7a9d77bd-5403-11d2-8785-2e0420524153 User Accounts
1206f5f1-0569-412c-8fec-3204630dfb70 Credential Manager
025a5937-a6be-4686-a844-36fe4bec8b6d Power Options
05d7b0f4-2121-4eff-bf6b-ed3f69b894d9 Notification Area Icons
0df44eaa-ff21-4412-828e-260a8728e7f1 Taskbar
17cd9488-1228-4b2f-88ce-4298e93e0966 Default Programs
15eae92e-f17a-4431-9f28-805e482dafd4 Get Programs
6dfd7c5c-2451-11d3-a299-00c04f8ef6af Folder Options
9c60de1e-e5fc-40f4-a487-460851a8d915 AutoPlay
9c73f5e5-7ae7-4e32-a8e8-8d23b85255bf Sync Center
9fe63afd-59cf-4419-9775-abcc3849f861 Recovery
3f6bc534-dfa1-4ab4-ae54-ef25a74e0107 System Restore
b98a2bea-7d42-4558-8bd1-832f41bac6fd Backup and Restore
f6b6e965-e9b2-444b-9286-10c9152edbc5 File History
9db7a13c-f208-4981-8353-73cc61ae2783 Previous Versions
a3c3d402-e56c-4033-95f7-4885e80b0111 Previous Versions
f8c2ab3b-17bc-41da-9758-339d7dbf2d88 Previous Versions
1723d66a-7a12-443e-88c7-05e1bfe79983 Previous Versions
bf782cc9-5a52-4a17-806c-2a894ffeeac5 Language Settings
c555438b-3c23-4769-a71f-b6d3d9b6053a Display
ed834ed6-4b5a-4bfe-8f11-a626dcb6a921 Personalization
c58c4893-3be0-4b45-abb5-a63e4b8c8651 Troubleshooting
58e3c745-d971-4081-9034-86e34b30836a Speech Recognition
d555645e-d4f8-4c29-a827-d93c859c4f2a Ease of Access Center
78f3955e-3b90-4184-bd14-5397c15f1efc Performance Information and Tools
d9ef8727-cac2-4e60-809e-86f80a666c91 BitLocker Drive Encryption
f942c606-0914-47ab-be56-1321b8035096 Storage Spaces
241d7c96-f8bf-4f85-b01f-e2b043341a4b RemoteApp and Desktop Connections
ecdb0924-4208-451e-8ee0-373c0956de16 Work Folders
4234d49b-0245-4df3-b780-3893943456e1 Applications
865e5e76-ad83-4dca-a109-50dc2113ce9a Programs
7be9d83c-a729-4d97-b5a7-1b7313c39e0a Programs
adfa80e7-9769-4ad9-992c-55dc57e1008c Start Menu
48e7caab-b918-4e58-a94d-505519c795dc Start Menu
85bbd920-42a0-1069-a2e4-08002b30309d Briefcase
0cd7a5c0-9f37-11ce-ae65-08002b2e1262 Cabinet File
e88dcce0-b7b3-11d1-a9f0-00aa0060fa31 Compressed Folder
ff393560-c2a7-11cf-bff4-444553540000 History
7bd29e00-76c1-11cf-9dd0-00a0c9034933 Temporary Internet Files
7bd29e01-76c1-11cf-9dd0-00a0c9034933 Temporary Internet Files
2559a1f0-21d7-11d4-bdaf-00c04f60b9f0 Search
2559a1f1-21d7-11d4-bdaf-00c04f60b9f0 Help and Support
2559a1f3-21d7-11d4-bdaf-00c04f60b9f0 Run
e211b736-43fd-11d1-9efb-0000f8757fcd Scanners and Cameras
fb0c9c8a-6c50-11d1-9f1d-0000f8757fcd Scanners and Cameras
ed228fdf-9ea8-4870-83b1-96b02cfe0d52 Games
b4bfcc3a-db2c-424c-b029-7fe99a87c641 Desktop
374de290-123f-4565-9164-39c4925e467b Downloads
088e3905-0323-4b02-9826-5d99428e115f Downloads
fdd39ad0-238f-46af-adb4-6c85480369c7 Documents
d3162b92-9365-467a-956b-92703aca08af Documents
a8cdff1c-4878-43be-b5fd-f8091c1c60d0 Documents
33e28130-4e1e-4676-835a-98395c3bc3bb Pictures
24ad3ad4-a569-4530-98e1-ab02f9417aa8 Pictures
3add1653-eb32-4cb0-bbd7-dfa0abb5acca Pictures
4bd8d571-6d19-48d3-be97-422220080e43 Music
3dfdf296-dbec-4fb4-81d1-6a3438bcf4de Music
1cf1260c-4dd0-4ebb-811f-33c572699fde Music
18989b1d-99b5-455b-841c-ab7c74e4ddfc Videos
f86fa3ab-70d2-4fc7-9c99-fcbf05467f3a Videos
a0953c92-50dc-43bf-be83-3742fed03c9c Videos
0db7e03f-fc29-4dc6-9020-ff41b59e513a 3D Objects
7b0db17d-9cd2-4a93-9733-46cc89022e7c Documents Library
a990ae9f-a03b-4e80-94bc-9912d7504104 Pictures Library
2112ab0a-c86a-4ffe-a368-0de96e47012e Music Library
491e922f-5643-4af4-a7eb-4e7a138d8174 Videos Library
a302545d-deff-464b-abe8-61c8648d939b Libraries
1777f761-68ad-4d8a-87bd-30b759fa33dd Favorites
bfb9d5e0-c6a9-404c-b2b2-ae6db6af4968 Links
4c5c32ff-bb9d-43b0-b5b4-2d72e54eaaa4 Saved Games
7d1d3a04-debb-4115-95cf-2f29da2920da Searches
56784854-c6cb-462b-8169-88e350acb882 Contacts
5e6c858f-0e22-4760-9afe-ea3317b67173 Profile
f38bf404-1d43-42f2-9305-67de0b28fc23 Windows
1ac14e77-02e7-4e5d-b744-2eb1ae5198b7 System32
d65231b0-b2f1-4857-a4ce-a8e7c6ea7d27 SysWOW64
905e63b6-c1bf-494e-b29c-65b732d3d21a Program Files
6d809377-6af0-444b-8957-a3773f02200e Program Files
7c5a40ef-a0fb-4bfc-874a-c0f2e0b9fa8e Program Files (x86)
62ab5d82-fdc1-4dc3-a9dd-070d1d495d97 ProgramData
f1b32785-6fba-4fcf-9d55-7b8e7f157091 Local AppData
3eb685db-65f9-4cf6-a03a-e3ef65729f3d Roaming AppData
a77f5d77-2e2b-44c3-a6a2-aba601054a51 Programs
0139d44e-6afe-49f2-8690-3dafcae6ffb8 Common Programs
9e3995ab-1f9c-4f13-b827-48b24b6c7174 User Pinned
52a4f021-7b75-48a9-9f6b-4b87a210bc8f Quick Launch
"""

NAMES: dict[str, str] = {line[:36]: line[37:] for line in _TEXT.strip().splitlines()}
"""Name by GUID in lower case."""

CONTROL_PANEL = {
    0: "All Control Panel Items",
    1: "Appearance and Personalization",
    2: "Hardware and Sound",
    3: "Network and Internet",
    4: "Sounds, Speech and Audio Devices",
    5: "System and Security",
    6: "Clock, Language, and Region",
    7: "Ease of Access",
    8: "Programs",
    9: "User Accounts",
    10: "Security Center",
    11: "Mobile PC",
}
"""Control panel categories, by number."""


def guid_text(data: bytes) -> str:
    """The text of the GUID in 16 bytes, as COM writes it (the first three parts little-endian)."""
    h = data.hex()
    return (f"{h[6:8]}{h[4:6]}{h[2:4]}{h[0:2]}-{h[10:12]}{h[8:10]}-{h[14:16]}{h[12:14]}"
            f"-{h[16:20]}-{h[20:32]}")


def guid_name(guid: str) -> str:
    """The name of a folder, or its GUID in braces where it has none here."""
    return NAMES.get(guid, "{" + guid + "}")
