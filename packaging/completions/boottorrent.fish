# The program says by itself what may follow (COMP_LINE, as for bash).
function __complete_boottorrent
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    /usr/bin/boottorrent
end
complete -c boottorrent -a "(__complete_boottorrent)"
