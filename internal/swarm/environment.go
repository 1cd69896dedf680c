package swarm

// NodeGC is GOGC in the environment of a node's programs (https://pkg.go.dev/runtime): the garbage collector runs when the heap has grown
// by half of what was in use, instead of by all of it. That saves memory, which a node has for its system, and costs processor time. The
// benchmark runs its nodes with it.
const NodeGC = "50"

// NodeDebug is GODEBUG in the environment of the program that fetches. The runtime has a thread that looks after the others (sysmon); it rests
// while they do, and is woken up and laid to rest again for nearly each packet. Where the scheduler is traced it does not rest, and looks every
// 10 ms. The first trace, a line to stderr, would come when the machine is up for 23 days. Eight nodes on links of 14 Mbit/s cost 3 to 9 % less,
// 48 on links of 4 Mbit/s 6 %. Another version of Go may do otherwise; then that is lost, and nothing else.
const NodeDebug = "schedtrace=2000000000"
