package report

// HelpHeader is the header of an answer to a report by which the seeder asks a node to give phase 1 away to machines that start. Its value
// is the infohash of a runtime of the catalog (catalog.Phase1Name), 40 hexadecimal digits. It is not signed, and needn't be: all that it brings about
// is that the node fetches something that the signed catalog names. An answer without it changes nothing, and one with another value
// asks for that runtime in place of the one before.
const HelpHeader = "Boottorrent-Phase1"

// HelpStop is the value of HelpHeader by which the seeder asks the node to give phase 1 away no longer.
const HelpStop = "off"

// Answer is what the seeder answers to a report.
type Answer struct {
	// Order is a signed order (internal/order); empty: there is none.
	Order []byte
	// Help is the value of HelpHeader; empty: nothing changes.
	Help string
}

// Phase1 says that a node gives phase 1's kernel and initramfs away by HTTP, at the address from which its reports come.
type Phase1 struct {
	// Port is the TCP port. There each file of the runtime is at catalog.BootPath of its name and SHA-256, as at the seeder.
	Port int `json:"port"`
	// Image is the runtime's infohash, 40 hexadecimal digits, as HelpHeader had it.
	Image string `json:"image"`
	// Served is how many bytes of the two files the node has sent to machines in this boot.
	Served int64 `json:"served"`
}
