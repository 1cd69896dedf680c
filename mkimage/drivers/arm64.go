package drivers

// The lists of common.go for arm64, chosen in the same way. The numbers are of Debian 12's kernel 6.1 for arm64, in KB. What the kernel has
// built in is not among them: the buses of device trees and of ACPI, PCI host bridges (also the Raspberry Pi's), SD cards, PL011 and 8250 serial
// ports, clocks and most pin controllers.

// boards are what the network card and the USB ports of boards stand on: voltages, reset lines, transceivers of USB. Their drivers wait for
// these, and for ever where they are missing.
var boards = []string{
	"fixed", "gpio_regulator", "pwm_regulator", // 4, 5, 5
	"rk808_regulator", "fan53555", "i2c_rk3x", // Rockchip: 7, 5, 9
	"phy_rockchip_inno_usb2", "phy_rockchip_typec", "phy_rockchip_naneng_combphy", "phy_rockchip_pcie", // 12, 7, 6, 5
	"axp20x_regulator", "axp20x_rsb", "axp20x_i2c", "i2c_mv64xxx", "phy_sun4i_usb", // Allwinner: 8, 3, 3, 8, 9
	"reset_raspberrypi",                                // 3: the USB controller of Raspberry Pi 4
	"phy_mvebu_cp110_comphy", "phy_mvebu_a3700_comphy", // Marvell
	"phy_fsl_imx8mq_usb", "pca9450_regulator", "i2c_imx", // NXP
	"dwc3_of_simple", "dwc3_meson_g12a", "dwc3", "dwc2", // USB
	"xhci_plat_hcd", "ehci_platform", "ohci_platform",
}

// basicsARM64 are basics for arm64.
var basicsARM64 = append([]string{
	"xhci_pci", "ehci_pci", "ohci_pci", "usbhid", "hid_generic",
	"virtio_pci", "virtio_rng",
	"virtio_mmio",     // 8: virtual machines without PCI
	"hyperv_keyboard", // 54, with hv_vmbus
	"efivarfs",        // 9: whether Secure Boot is on
	"8021q",
	"overlay", "loop", "squashfs", "erofs",
}, boards...)

// commonNetworkARM64 is commonNetwork for arm64.
var commonNetworkARM64 = []string{
	// Cards of servers, and of boards with a slot
	"e1000", "e1000e", "igb", "igc", "ixgbe", "ixgbevf", "i40e", "iavf", "ice",
	"r8169",
	"tg3", "bnxt_en",
	"atlantic",
	"mlx4_en", "mlx5_core",

	// Servers' own
	"hns3", "hclge", "hclgevf", // Huawei Kunpeng 920
	"hns_enet_drv", "hns_dsaf", "hns_mdio", // Kunpeng 916
	"thunder_bgx", "nicpf", "nicvf", "mdio_thunder", // Cavium ThunderX
	"xgene_enet", "mdio_xgene", // Ampere eMAG, X-Gene
	"amd_xgbe",                                   // AMD Seattle
	"qcom_emac",                                  // Qualcomm Centriq
	"netsec",                                     // Socionext SynQuacer
	"fsl_dpaa2_eth", "fsl_mc_dpio", "xgmac_mdio", // NXP LX2160

	// Boards
	"genet", // Raspberry Pi 4
	"macb",  // Cadence: Raspberry Pi 5 in later kernels, Xilinx, Microchip
	"dwmac_rk", "dwmac_sun8i", "dwmac_meson8b", "mdio_mux_meson_g12a", "dwmac_imx", "dwmac_qcom_ethqos", "dwmac_generic",
	"mvneta", "mvpp2", "mvmdio",
	"fec",
	"smsc911x", "smc91x", // ARM's own boards and models

	// Virtual machines
	"virtio_net", "vmxnet3", "hv_netvsc", "xen_netfront",

	// USB adapters; smsc95xx and lan78xx are the Raspberry Pi 3's own
	"r8152", "r8153_ecm", "ax88179_178a", "asix", "cdc_ether", "cdc_ncm", "smsc75xx", "smsc95xx", "lan78xx", "aqc111", "sr9700", "ch9200",
	"rndis_host",
}

// storageARM64 is storage for arm64.
var storageARM64 = []string{
	"usb_storage", "uas", "sd_mod", "sr_mod", "ahci", "ahci_platform", "virtio_blk", "virtio_scsi", "hv_storvsc", "xen_blkfront",
	"nvme",
	"sdhci_acpi", "sdhci_iproc", "bcm2835", "sdhci_of_arasan", "sdhci_of_dwcmshc", "dw_mmc_rockchip", "meson_gx_mmc", "sunxi_mmc",
}
