// Package sim is a flash crowd in virtual time: rooms of thousands of nodes, in racks with uplinks, that no machine at
// hand could hold. In goes a [Scenario]; out comes a [Result], the same one for the same seed.
//
// What decides in a real swarm is the real code: the choice of pieces and the depth of the request queues are those of
// internal/swarm/pick, as the nodes run it. What is modelled is around it:
//
//   - The network. Blocks of 16 KiB go through links one after the other: a node's upload link, the uplinks of two racks
//     if they differ, a node's download link. A node sends to its connections in turn; every other link is first come,
//     first served, and passes a block on while it is still coming in. What a connection has on its way is bounded by
//     its request queue, as TCP's windows would; so a link that is full slows all that go through it.
//   - The library: its order of pieces (priority, partial, availability, index), requests that move to a connection with
//     less to do, the number of connections, who is turned away, connections between complete peers that end.
//   - The trackers: whom they tell of whom, how often, and how many at a time. Where racks have mirrors, each node announces itself to its
//     mirror's, which tells it of its rack, and mirrors to the seeder's, which tells them of each other. That nodes also ask another seeder's
//     tracker once a minute is left out: they dial whom they learn of only when the near ones bring nothing.
//
// Not modelled: loss, CPU and disks, hashing, peer exchange (BEP 11), choking (nobody is choked here), foreign clients.
// How near this comes to real rooms is measured, not claimed: see the results' "check" scenarios.
package sim
