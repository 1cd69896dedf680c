package hardware

// Drivers are kernel modules in a folder of their own, which are not in the image: those of disks, see package diskmodules.
type Drivers struct {
	loader *loader
	tree   tree
	rel    string
}

// OpenDrivers reads the indexes of the modules below dir, in lib/modules/RELEASE for the running kernel.
func OpenDrivers(dir string, log Log) (*Drivers, error) {
	rel, err := release()
	if err != nil {
		return nil, err
	}
	d := &Drivers{tree: tree(dir), rel: rel}
	probe, err := newProber(d.tree, rel)
	if err != nil {
		return nil, err
	}
	if d.loader, err = newLoader(d.tree, rel, log, probe); err != nil {
		return nil, err
	}
	d.loader.tree = running // whose devices they are for
	return d, nil
}

// Settle loads the modules that the devices present ask for, and those of others that there are; one that doesn't load is logged. Devices
// that these drivers find may ask for more: then it is called again.
func (d *Drivers) Settle(others ...string) {
	var there []string
	for _, name := range others {
		if d.tree.has(name, d.rel) {
			there = append(there, name)
		}
	}
	d.loader.settle(there...)
}
