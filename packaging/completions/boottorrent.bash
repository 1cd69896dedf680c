complete -o default -o bashdefault -C /usr/bin/boottorrent boottorrent
