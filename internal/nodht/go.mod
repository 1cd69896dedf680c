module github.com/anacrolix/dht/v2

go 1.26.0

require (
	github.com/anacrolix/log v0.17.1-0.20251118025802-918f1157b7bb
	github.com/anacrolix/torrent v1.62.0
)
