"""The real samples that the large inputs are built from.

Where the project's large test data lie (`TRACELAKE_DATA`, or `../shared/data`) they are used;
elsewhere the evidence under `examples/` is. The table says which.
"""

import gzip
import io
import lzma
import os
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.seven_zip import members

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("TRACELAKE_DATA", ROOT.parent / "shared" / "data"))
EVIDENCE = ROOT / "examples" / "evidence"

# An office's uplink: a domain under attack, browsing, names, remote sessions, SMB. The one OTRF
# capture that holds segments of 5 KB, put together by the network card, stays out: it alone would
# double the mean packet size.
SHARED_CAPTURES = (
    "pcap/ad-attack/otrf/covenant_copy_smb_CreateRequest_2020-09-22145302.cap",
    "pcap/ad-attack/otrf/covenant_sharpsc_stop_dcerpc_smb_svcctl_2020-08-06031938.cap",
    "pcap/ad-attack/otrf/empire_shell_rubeus_asktgt_createnetonly_2020-09-21230246.cap",
    "pcap/ad-attack/otrf/pcap_log4shell_cve2021_44228_jndi_reference_2022-05-11181020.pcap",
    "pcap/malcolm/attacks/zeek-quasarrat-detector",
    "pcap/malcolm/attacks/zerologon/CVE-2020-1472_exploit_win2019.pcap",
    "pcap/zeek/ssh/ssh.pcap",
    "oracles/suricata-verify/smb2-07/20171220_smb_psexec_add_user.pcap",
    "oracles/suricata-verify/smb2-ntlmssp-negotiateflags/input.pcap",
)
SHARED_LOGS = (
    "evtx/derived-big/aptsim_all_chunks.evtx.zip",
    "evtx/museum-win10-aptsim",
    "evtx/museum-win10-rathbun",
    "evtx/omerbenamram/post-Security.evtx",
    "evtx/omerbenamram/2-vss_7-System.evtx",
)
# Real small logs: of hosts, and of single attacks.
SHARED_SMALL_LOGS = (
    "evtx/attack-samples",
    "evtx/evtx-to-mitre",
    "evtx/museum-win10-aptsim",
    "evtx/museum-win10-rathbun",
    "evtx/omerbenamram",
    "evtx/velociraptor",
)
SHARED_LINES = (
    "edr/otrf-host-unpacked",
    "edr/otrf-host/empire_shell_rpc_samr_smb_group_domain_admins_standard_user.zip",
    "edr/otrf-host/empire_schtasks_creation_standard_user.zip",
    "edr/otrf-host/covenant_getdomaingroup_ldap_searchrequest_domain_admins.zip",
    "edr/otrf-host/empire_wmic_add_user_backdoor.zip",
)

SHARED_TABLES = ("triage/dfir-orc/winxp.7z",)


@dataclass(frozen=True, slots=True)
class Seed:
    """A real file, unpacked."""

    name: str
    data: bytes


def unpacked(path: Path) -> list[Seed]:
    """The files that `path` holds: itself, or the members of the archive that it is."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return [Seed(n, archive.read(n)) for n in sorted(archive.namelist())]
    data = path.read_bytes()
    if path.suffix == ".7z":
        return [Seed(name, held) for name, held in members(data)]
    if path.suffix == ".xz":
        return [Seed(path.stem, lzma.decompress(data))]
    if path.suffix == ".gz":
        data = gzip.decompress(data)
        if path.stem.endswith(".tar"):
            seeds = []
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive:
                    held = archive.extractfile(member)
                    if held is not None:
                        seeds.append(Seed(member.name, held.read()))
            return seeds
        return [Seed(path.stem, data)]
    return [Seed(path.name, data)]


def collect(shared: tuple[str, ...], suffixes: tuple[str, ...]) -> tuple[str, list[Seed]]:
    """Where the seeds come from ("shared" or "examples"), and those that end in `suffixes`."""
    if (SHARED / "MANIFEST.tsv").is_file():
        origin, places = "shared", [SHARED / name for name in shared]
    else:
        origin, places = "examples", [EVIDENCE]
    files: list[Path] = []
    for place in places:
        files += sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    seeds = [seed for path in files for seed in unpacked(path)]
    return origin, [seed for seed in seeds if seed.name.endswith(suffixes)]
