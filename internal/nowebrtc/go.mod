module github.com/pion/webrtc/v4

go 1.26.0

require (
	github.com/pion/datachannel v1.5.9
	github.com/pion/logging v0.2.4
)

require (
	github.com/pion/randutil v0.1.0 // indirect
	github.com/pion/sctp v1.8.22 // indirect
)
