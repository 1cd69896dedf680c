module github.com/multiformats/go-multihash

go 1.26.0
