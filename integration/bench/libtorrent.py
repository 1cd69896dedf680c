# A peer that is libtorrent with its default settings; see the protocol at type engine. DHT, port forwarding and local
# discovery are off: they reach beyond the room, or into the next one.
import signal
import sys

import libtorrent as lt

role, address, torrent, folder = sys.argv[1:]
session = lt.session({
    "listen_interfaces": address + ":6881",
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "alert_mask": lt.alert.category_t.status_notification,
})
params = {"ti": lt.torrent_info(torrent), "save_path": folder}
if role == "seeder":
    params["flags"] = lt.torrent_flags.seed_mode
    session.add_torrent(params)
    signal.pause()
print("READY", flush=True)
sys.stdin.readline()
session.add_torrent(params)
while True:
    session.wait_for_alert(1000)
    for alert in session.pop_alerts():
        if isinstance(alert, lt.torrent_finished_alert):
            print("DONE", flush=True)
        elif isinstance(alert, lt.torrent_error_alert):
            sys.exit(str(alert))
