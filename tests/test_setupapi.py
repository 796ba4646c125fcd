"""SetupAPI's logs of device installs, of both forms."""

from tests.winart_case import notes, read, us
from tracelake.parsers import setupapi
from tracelake.parsers.artifact import Match

SETUP = "\r\n".join([
    "[Device Install Log]", "     OS Version = 10.0.19041", "[BeginLog]", "",
    "[Boot Session: 2020/11/10 15:00:00.500]", "",
    ">>>  [Device Install (Hardware initiated) - "
    "USBSTOR\\Disk&Ven_SanDisk&Prod_Ultra&Rev_1.00\\4C53&0]",
    ">>>  Section start 2020/11/10 15:03:14.123",
    "     ndv: Selected driver node: usbstor.inf",
    "<<<  Section end 2020/11/10 15:03:15.321", "<<<  [Exit status: SUCCESS]", "", "",
    ">>>  [Setup Import Driver Package - C:\\x\\y.inf]",
    ">>>  Section start 2020/11/10 15:04:00.000",
    "<<<  Section end 2020/11/10 15:04:01.000", "<<<  [Exit status: FAILURE(0x00000002)]", "",
    ">>>  [Delete Device - USB\\VID_0781&PID_5567\\6&abc&0]",
    ">>>  Section start 2020/11/10 15:05:00.000", ""])
SETUP_XP = "\r\n".join([
    "[SetupAPI Log]", "OS Version = 5.1.2600 Service Pack 2",
    "[2008/02/29 10:11:12 100.3 Driver Install]",
    "#-019 Searching for hardware ID(s): usb\\vid_0781&pid_5406",
    '#I121 Device install of "USB\\VID_0781&PID_5406\\0774910F" finished successfully.',
    "[2008/02/29 10:12:00 200.1]", "#-198 Command line processed: x", ""])


def test_since_vista() -> None:
    for data in (SETUP.encode(), SETUP.encode("utf-16")):
        assert setupapi.match(data, "mangled")[0] == Match.CONTENT
        found = read(setupapi.PARSER, data)
        stick, gone = found.rows("peripheral_activity")
        assert (us(stick), stick["parse_flags"]) == (1605020594123000, 32)
        assert (stick["activity_id"], stick["status_id"]) == (1, 1)
        assert (stick["periph_vendor"], stick["periph_model"], stick["periph_serial"]) == (
            "SanDisk", "Ultra", "4C53&0")
        assert (stick["periph_class"], stick["driver_name"]) == ("USBSTOR", "usbstor.inf")
        assert notes(stick)["ended_us"] == "1605020595321000"
        assert gone["periph_serial"] is None, "Windows made it up"
        assert gone["periph_uid"] == "USB\\VID_0781&PID_5567\\6&abc&0"
        raw = found.rows("raw_event")
        assert [us(row) for row in raw] == [None, 1605020400500000, 1605020640000000]
        assert notes(raw[2])["exit_status"] == "FAILURE(0x00000002)"
        assert found.unexplained == 0


def test_before_vista() -> None:
    found = read(setupapi.PARSER, SETUP_XP.encode())
    (row,) = found.rows("peripheral_activity")
    assert us(row) == 1204279872000000
    assert (row["periph_model"], row["periph_serial"]) == ("PID_5406", "0774910F")
    assert row["status_id"] == 1
    assert len(found.rows("raw_event")) == 2
    assert found.unexplained == 0


def test_cut_anywhere_it_loses_nothing() -> None:
    for at in range(len(SETUP)):
        assert read(setupapi.PARSER, SETUP.encode()[:at]).unexplained == 0, at
