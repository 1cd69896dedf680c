package swarm

// NodeGC is GOGC in the environment of a node's programs (https://pkg.go.dev/runtime): the garbage collector runs when the heap has grown
// by half of what was in use, instead of by all of it. That saves memory, which a node has for its system, and costs processor time. The
// benchmark runs its nodes with it.
const NodeGC = "50"
