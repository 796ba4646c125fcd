"""What a host says of itself: its names, its system, its users, its addresses."""

from tracelake.normalize.column import BIG, BOOL, INT, TEXT, TEXTS, TIME, WORD, column
from tracelake.normalize.tables.common import events

INVENTORY = events(
    "inventory", "inv", [5001, 5003],
    "What evidence says of a host itself (5001) or of one of its users (5003) at the time of "
    "acquisition: one row a fact, joined in the view `host`.",
    column("fact", WORD, "what is said: computer_name, machine_uid, os, time_zone, domain, "
           "interface, boot, user, profile, group, ..."),
    column("os_build", WORD, "its build", ocsf={5001: "device.os.build"}),
    column("os_edition", WORD, "its edition", ocsf={5001: "device.os.edition"}),
    column("os_kernel", WORD, "release of its kernel", ocsf={5001: "device.os.kernel_release"},
           ecs="host.os.kernel"),
    column("os_install_time", TIME, "when it was installed"),
    column("time_zone", WORD, "the host's time zone: IANA or Windows name",
           ecs="event.timezone"),
    column("time_zone_bias", INT, "minutes to add to its standard local time for UTC"),
    column("boot_time", TIME, "when it was started", ocsf={5001: "device.boot_time"}),
    column("shutdown_time", TIME, "when it was shut down last"),
    column("interface_name", WORD, "network interface",
           ocsf={5001: "device.network_interfaces[0].name"}),
    column("interface_uid", WORD, "its GUID", ocsf={5001: "device.network_interfaces[0].uid"}),
    column("interface_mac", WORD, "its link address", bloom=True, ecs="host.mac",
           ocsf={5001: "device.network_interfaces[0].mac"}),
    column("addresses", TEXTS, "its addresses, IPv4 and IPv6", bloom=True),
    column("gateways", TEXTS, "its gateways"),
    column("name_servers", TEXTS, "its name servers"),
    column("dhcp_server", WORD, "who gave the address"),
    column("lease_obtained_time", TIME, "when the address was given"),
    column("hardware_vendor", WORD, "who made the machine",
           ocsf={5001: "device.vendor_name"}),
    column("hardware_model", WORD, "its model", ocsf={5001: "device.model"}),
    column("user_name", WORD, "user", ocsf={5003: "user.name"}, ecs="user.name", bloom=True),
    column("user_domain", WORD, "its domain or host", ocsf={5003: "user.domain"},
           ecs="user.domain"),
    column("user_uid", WORD, "its SID or number", ocsf={5003: "user.uid"}, ecs="user.id",
           bloom=True),
    column("user_full_name", WORD, "its full name", ocsf={5003: "user.full_name"},
           ecs="user.full_name"),
    column("user_groups", TEXTS, "groups that it is in"),
    column("user_home", WORD, "its profile or home folder"),
    column("user_shell", WORD, "its login shell"),
    column("user_comment", TEXT, "what is noted of it"),
    column("account_flags", BIG, "account control bits (SAM)", mask=True),
    column("is_disabled", BOOL, "the account is disabled or locked"),
    column("logon_count", BIG, "how often it logged on"),
    column("last_logon_time", TIME, "when it logged on last"),
    column("last_failed_logon_time", TIME, "when a logon failed last"),
    column("password_set_time", TIME, "when its password was set"),
    column("account_created_time", TIME, "when it was made"),
    column("account_expires_time", TIME, "when it expires"),
    column("detail", TEXT, "what else is said"),
)

TABLES = (INVENTORY,)
