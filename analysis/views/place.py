"""Where in a collection a file stands: before which part of its path a host's own tree begins.

A tool that collects files keeps their paths below a folder of its own: `HOST1/C/Windows/System32/
config/SYSTEM` (KAPE, CyLR), `uploads/auto/C%3A/Windows/...` (Velociraptor), `[root]/etc/hostname`
(UAC), `p2/vss1/Windows/...` (an image). The begin of such a tree is the file's *root*; with the
names of drives, volumes and shadow copies taken off, it is the same for all of one collection.
"""

_WINDOWS = (
    r"Windows(?:\.old)?/(?:System32|SysWOW64|AppCompat|Prefetch|inf|Tasks|ServiceProfiles|Temp|"
    r"Logs|Debug|System|Panther|Minidump|SoftwareDistribution|ServiceState|assembly|repair|"
    r"SchedLgU\.txt|security)(?:/|$)"
)
_UNIX = (
    r"var/(?:log|lib|spool|cache|run|db)/|etc/[^/]+|usr/(?:bin|sbin|lib|local|share)/|"
    r"home/[^/]+/\.?[^/]+|root/\.[^/]+|run/log/|Library/(?:Logs|LaunchAgents|LaunchDaemons|"
    r"Preferences|Application Support)/|System/Library/|private/(?:var|etc)/"
)
_ANYWHERE = (
    r"Users/[^/]+/|Documents and Settings/[^/]+/|ProgramData/|Program Files(?: \(x86\))?/|"
    r"\$(?:MFT|MFTMirr|LogFile|Boot|Secure|UsnJrnl|Volume|Bitmap|AttrDef|BadClus)(?:$|[:_])|"
    r"\$(?:Extend|Recycle\.Bin)/|RECYCLER/|System Volume Information/"
)

LAYOUT = rf"(?i)^((?:.*?/)?)({_WINDOWS}|{_UNIX}|{_ANYWHERE})"
"""What comes before the first part of a path that only stands at the top of a volume."""

STRONG = (
    r"(?i)^(.*?/)(Windows/(?:System32|AppCompat|Prefetch)/|"
    r"\$(?:Extend|Recycle\.Bin)/|var/log/)"
)
"""The same where a path may begin with folders of the machine that the evidence lies on, in which
`Users` and `home` mean nothing."""

_PART = (
    r"ntfs|auto|file|ntfs_vss|lazy_ntfs|uploads|vss[0-9]*|HarddiskVolumeShadowCopy[0-9]+|p[0-9]+|"
    r"lv-[^/]*|apfs[0-9]*|Windows\.old|\[root\]|rootfs|Partition [0-9]+.*|[^/]* \[[A-Z0-9]+\]|"
    r"private"
)
_DRIVE = r"[C-Z](?::|%3A|_)?|(?:%5C|\\|_){2}(?:\.|%3F|\?)(?:%5C|\\|_).*"
VOLUMES = rf"(?i)(?:/(?:{_PART}))*(?:/(?:{_DRIVE}))?(?:/(?:{_PART}))*/*$"
"""Names of volumes and copies at the end of a root, and of one drive."""
VOLUMES_UNIX = rf"(?i)(?:/(?:{_PART}))*/*$"
UNIX = r"(?i)^(?:var|etc|usr|home|root|run|Library|System/Library|private)/"
"""Marks of hosts that have no drives: a folder `D` above them is somebody's name for a host."""

EARLIER = (
    r"(?i)(?:^|/)(?:Windows\.old|RegBack|repair|ServiceProfiles|vss[0-9]+|"
    r"(?:.*)HarddiskVolumeShadowCopy[0-9]+|"
    r"var/lib/(?:docker|containerd|containers|lxc|lxd|machines|snapd)|snap|overlay2?)(?:/|$)"
)
"""Paths of copies of how the host was before, and of guests that live in its files."""
