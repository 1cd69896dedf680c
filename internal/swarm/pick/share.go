package pick

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// leastShare is the number of pieces up to which a share is its owner's business: what it is fetching. As long as more is left
// for each, shares are of equal size.
const leastShare = minWindow

// divide gives each of the pieces, which nobody has yet, to one of the nodes, and returns what falls to the node with the seed
// self and what to its rivals, both in the order given.
//
// It is rendezvous hashing (highest random weight: Thaler and Ravishankar, 1998) with bounded loads (Mirrokni, Thorup and
// Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2018): a piece belongs to the node whose weight for it is highest;
// of a node that would get more than the others, those with the lowest weights go to who is next for them, and so on. Nodes
// that see the same compute the same. What a node begins with, the pieces of its highest weights, stays with it when others
// come out and when nodes come and go.
func divide(pieces []int, self uint64, rivals []uint64) (own, others []int) {
	nodes := append([]uint64{self}, rivals...)
	most := max(leastShare, (len(pieces)+len(nodes)-1)/len(nodes))
	load, owner := make([]int, len(nodes)), make([]int, len(pieces))
	left := make([]bid, len(pieces))
	for k, i := range pieces {
		left[k] = bid{at: k, piece: i}
	}
	for len(left) > 0 {
		for k := range left {
			left[k].raise(nodes, load, most)
		}
		slices.SortFunc(left, func(a, b bid) int { return cmp.Compare(b.weight, a.weight) })
		left = slices.DeleteFunc(left, func(b bid) bool {
			if load[b.node] == most {
				return false
			}
			load[b.node]++
			owner[b.at] = b.node
			return true
		})
	}
	for k, i := range pieces {
		if owner[k] == 0 {
			own = append(own, i)
		} else {
			others = append(others, i)
		}
	}
	return own, others
}

// bid is a node's claim to a piece, which is the at-th to divide.
type bid struct {
	at, piece, node int
	weight          uint64
}

// raise makes it the claim of the node with the highest weight of those that have fewer than most pieces.
func (b *bid) raise(nodes []uint64, load []int, most int) {
	b.weight = 0
	for n, s := range nodes {
		if load[n] < most {
			if w := weight(s, b.piece); w >= b.weight {
				b.node, b.weight = n, w
			}
		}
	}
}

// seed reduces the random part of a peer ID to 64 bits; the first 8 bytes name the client and are the same everywhere.
func seed(id ID) uint64 {
	return mix(mix(binary.BigEndian.Uint64(id[8:16])) ^ binary.BigEndian.Uint64(id[12:20]))
}

// weight is the rank of a node, given by its seed, for piece i.
func weight(seed uint64, i int) uint64 {
	return mix(seed + uint64(i)*0x9e3779b97f4a7c15)
}

// mix is the finalizer of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
