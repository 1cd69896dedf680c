package site

// Arguments is phase 1's kernel command line, but for what depends on how it is started, such as the seeder's address.
func (n Node) Arguments() []string {
	// Of the kernel's messages only warnings: a serial line takes seconds for the rest. A kernel that panics on an unattended
	// node tries again after half a minute.
	args := []string{"loglevel=5", "panic=30"}
	for _, c := range n.Consoles {
		args = append(args, "console="+c)
	}
	if n.Cmdline != "" {
		args = append(args, n.Cmdline)
	}
	return args
}
