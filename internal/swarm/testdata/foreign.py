"""libtorrent: ADDRESS PORT TORRENT FOLDER ENCRYPTION(none|forced|rc4) [PEER-ADDRESS PEER-PORT]. Seeds or fetches until it is ended; prints DONE when it has all."""
import sys
import time
import libtorrent as lt

addr, port, torrent, folder, encryption = sys.argv[1:6]
policy = {"none": lt.enc_policy.disabled, "forced": lt.enc_policy.forced, "rc4": lt.enc_policy.forced}[encryption]
session = lt.session({
    "listen_interfaces": f"{addr}:{port}", "outgoing_interfaces": addr, "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_incoming_utp": False, "enable_outgoing_utp": False, "allow_multiple_connections_per_ip": True,
    "in_enc_policy": int(policy), "out_enc_policy": int(policy),
    "allowed_enc_level": int(lt.enc_level.rc4 if encryption == "rc4" else lt.enc_level.both),
})
handle = session.add_torrent({"ti": lt.torrent_info(torrent), "save_path": folder})
if len(sys.argv) > 6:
    handle.connect_peer((sys.argv[6], int(sys.argv[7])))
done = False
while True:
    if not done and handle.status().is_seeding:
        done = True
        print("DONE", flush=True)
    time.sleep(0.05)
