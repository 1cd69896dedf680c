package drivers

// What follows is a choice by weight. The number behind each driver is its size in KB as the xz stream of Debian 12's
// kernel 6.1 counts it alone; together they share a dictionary and come out about a sixth smaller. Each of these bytes is
// sent to every node at every boot; at 1 Gbit/s 100 KB take a node 1 ms, while a machine whose driver is missing does not
// start at all. So the line is drawn at what hardly anybody has or no network boots, not at what is large.

// basics are in every image for amd64: what a person and a driver need beside network cards.
var basics = []string{
	// USB host controllers and what they stand on: keyboards and network adapters. PS/2 keyboards, the serial ports and
	// the frame buffers of the firmware (efifb, vesafb) are built into Debian's kernel.
	"xhci_pci",    // 293, with usbcore
	"ehci_pci",    // 57
	"uhci_hcd",    // 27
	"ohci_pci",    // 35
	"usbhid",      // 90, with hid
	"hid_generic", // 4; it also drives keyboards that have a module of their own, as long as that isn't there

	"virtio_pci",      // 47
	"virtio_rng",      // 5; a virtual machine without it may wait for entropy
	"hyperv_keyboard", // 63, with hv_vmbus; Hyper-V's second generation has no PS/2

	"8021q", // 43: VLANs

	// What a program or QEMU writes does not touch what is given to other nodes (overlay). With the others the root file system of
	// a system is mounted that runs under this kernel.
	"overlay",  // 68
	"loop",     // 18
	"squashfs", // 32
	"erofs",    // 55, with libcrc32c and crc32c_generic
}

// rootFileSystems are what images of root file systems are mounted by. ext4 is too large for every node (424, with jbd2): whoever has such an image
// brings a kernel with its modules.
var rootFileSystems = []string{"loop", "overlay", "squashfs", "erofs", "ext4"}

// commonNetwork are the Ethernet drivers of --drivers common for amd64: what was sold in numbers since 2010.
var commonNetwork = []string{
	// Intel
	"e1000",   // 71: also the default card of many virtual machines
	"e1000e",  // 128
	"igb",     // 138
	"igc",     // 80
	"ixgbe",   // 250, with libphy
	"ixgbevf", // 45
	"i40e",    // 241
	"iavf",    // 86
	"ice",     // 388: servers since 2020

	// Realtek, the most common of all
	"r8169", // 52

	// Broadcom
	"tg3",     // 118
	"bnxt_en", // 176
	"bnx2",    // 52, and only with firmware
	"bnx2x",   // 357, and only with firmware

	// Marvell, Atheros, Aquantia
	"sky2",     // 41
	"atl1c",    // 29
	"alx",      // 25
	"atlantic", // 139

	// Older desktop boards
	"forcedeth", // 36
	"jme",       // 27

	// Servers
	"be2net",    // 85
	"enic",      // 53
	"mlx4_en",   // 263
	"mlx5_core", // 755: ConnectX-4 and later, the common card of 25 Gbit/s and more since 2015

	// Virtual machines
	"virtio_net",   // 51
	"vmxnet3",      // 37
	"hv_netvsc",    // 56
	"xen_netfront", // 24

	// USB adapters and docking stations
	"r8152",        // 57
	"r8153_ecm",    // 4
	"ax88179_178a", // 37, with usbnet
	"asix",         // 51
	"cdc_ether",    // 9
	"cdc_ncm",      // 19
	"smsc75xx",     // 20
	"smsc95xx",     // 19
	"lan78xx",      // 38
	"aqc111",       // 13
	"sr9700",       // 8
	"ch9200",       // 6
	"rndis_host",   // 9
}

// Not in commonNetwork, as too rare for their bytes: qede (445: FastLinQ), cxgb4 (277: Chelsio), nfp (261: Netronome),
// sfc (189: Solarflare), qlcnic (165), stmmac with dwmac-intel (147: Intel's embedded processors), amd_xgbe (94), bna (91),
// netxen_nic (60), niu (50), lan743x (40), myri10ge (32); ena (63), gve (47) and mana (48), of clouds where nothing boots from a
// network or a stick; what is older than 2010: 8139too, 8139cp, e100, skge, atl1, atl1e, b44, sis900, via_rhine, via_velocity,
// pcnet32, and the USB adapters rtl8150, dm9601 and mcs7830; thunderbolt_net (170). Graphics drivers are not needed.

// storage are the drivers by which the medium can be read that phase 1 was started from: a stick, a CD, the virtual CD of a
// machine's management processor, a disk of a virtual machine. They are on the media only: what came by network has no
// use for them. File systems need none, phase 1 reads FAT by itself. They add 476 KB.
var storage = []string{
	"usb_storage", // with scsi_mod
	"uas",         // USB sticks of 2012 and later, and disks in cases
	"sd_mod",      // disks, sticks
	"sr_mod",      // CDs, with cdrom
	"ahci",        // with libata
	"ata_piix",    // older and virtual machines
	"virtio_blk",  // virtual machines
	"virtio_scsi",
	"hv_storvsc", // Hyper-V
	"vmw_pvscsi", // VMware
	"xen_blkfront",
}

// allNetwork are the folders and modules of --drivers all.
var allNetwork = []string{
	"kernel/drivers/net/ethernet",
	"kernel/drivers/net/usb",
	"kernel/drivers/net/phy",
	"kernel/drivers/net/vmxnet3",
	"kernel/drivers/net/hyperv",
	"kernel/drivers/net/fjes",
}

var allNetworkModules = []string{"virtio_net", "xen_netfront", "thunderbolt_net"}

// needsFirmware are drivers that do nothing at all without firmware, which no free distribution has in its kernel. The
// keywords common and all leave them out when none of it is found. Other drivers ask for firmware, too, but work without.
var needsFirmware = map[string]bool{
	"bnx2": true, "bnx2x": true, "netxen_nic": true, "liquidio": true, "liquidio_vf": true, "nfp": true,
}

// transceivers says which PHY modules a network driver's chips sit beside. A driver finds its PHY only after it was
// loaded, when the kernel asks modprobe for the PHY's module; a node has no modprobe to ask, and the kernel goes on with
// a generic driver that some chips don't work with. So these are loaded before.
var transceivers = map[string][]string{
	"asix":     {"ax88796b"},
	"lan78xx":  {"microchip"},
	"smsc95xx": {"smsc"},
	"tg3":      {"broadcom"},

	// Boards: a chip is soldered beside whichever transceiver its maker had.
	"genet":         {"broadcom", "bcm7xxx"},
	"macb":          {"broadcom", "micrel", "marvell"},
	"stmmac":        {"realtek", "motorcomm", "meson_gxl", "rockchip", "micrel", "at803x"},
	"fec":           {"at803x", "micrel", "realtek"},
	"mvneta":        {"marvell"},
	"mvpp2":         {"marvell", "marvell10g"},
	"fsl_dpaa2_eth": {"at803x", "aquantia"},
	"xgene_enet":    {"realtek", "marvell"},
	"hns_enet_drv":  {"marvell"},
	"netsec":        {"realtek"},
}
