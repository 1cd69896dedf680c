# Downloads a torrent with libtorrent (Debian: python3-libtorrent): download.py TORRENT DIR ADDRESS
import sys
import time

import libtorrent as lt

torrent, folder, address = sys.argv[1:]
session = lt.session({
    'listen_interfaces': address + ':0', 'outgoing_interfaces': address,
    'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
    'enable_outgoing_utp': False, 'enable_incoming_utp': False,
})
handle = session.add_torrent({'ti': lt.torrent_info(torrent), 'save_path': folder})
end = time.time() + 40
while not handle.status().is_seeding:
    if time.time() > end:
        status = handle.status()
        sys.exit('%s after 40 s: %d bytes, %d peers, %s' % (status.state, status.total_done, status.num_peers, handle.trackers()))
    session.wait_for_alert(200)
    session.pop_alerts()
