#!/bin/bash
# sources.sh FOLDER BUSYBOX OPENRC: makes what 'mkimage import' makes systems of, as people have it, of the two archives (roots.sh). In
# FOLDER are then, each a root file system that says its own name:
#   archive.tar.zst        a tar
#   oci                    an OCI image layout with two layers, the upper of which removes a file of the lower; made by umoci
#   image.ext4 image.erofs images of file systems
#   disk.qcow2             a virtual machine's disk with a partition for swap and one for the root
#   casper.iso             Ubuntu's layout with two layers
#   fedora.iso             Fedora's layout of old: an ext4 image in a squashfs
#   openrc                 a folder
set -euo pipefail
cd "$1"
busybox=$2 openrc=$3

# root NAME: unpacks busybox with that name.
root() {
	mkdir "$1.root"
	tar -xf "$busybox" -C "$1.root"
	echo "$1" >"$1.root/etc/root-name"
}

squash() { mksquashfs "$1" "$2" -quiet -no-progress -noappend -comp zstd; }

iso() { xorriso -as mkisofs -quiet -r -J -V "$2" -o "$1.iso" "$1.disc"; }

root archive
tar --numeric-owner --zstd -cf archive.tar.zst -C archive.root .

root oci
echo gone >oci.root/etc/removed
tar --numeric-owner -cf oci.lower.tar -C oci.root .
mkdir -p oci.upper/etc
touch oci.upper/etc/.wh.removed
tar --numeric-owner -cf oci.upper.tar -C oci.upper .
umoci init --layout oci
umoci new --image oci:box
umoci raw add-layer --image oci:box oci.lower.tar
umoci raw add-layer --image oci:box oci.upper.tar

root ext4
truncate -s 16M image.ext4
mke2fs -q -t ext4 -d ext4.root image.ext4

root erofs
mkfs.erofs -zlz4hc image.erofs erofs.root >/dev/null

root disk
truncate -s 48M disk.raw
sfdisk -q disk.raw <<-'END'
	label: gpt
	size=8MiB, type=swap
	type=linux
END
truncate -s 32M disk.ext4
mke2fs -q -t ext4 -d disk.root disk.ext4
dd if=disk.ext4 of=disk.raw bs=1M seek=9 conv=notrunc status=none
qemu-img convert -O qcow2 -c disk.raw disk.qcow2

root casper
mkdir -p casper.disc/casper casper.disc/.disk casper.upper/etc
echo 'Ubuntu 24.04 LTS "Room" - Release amd64' >casper.disc/.disk/info
mv casper.root/etc/root-name casper.upper/etc/
squash casper.root casper.disc/casper/minimal.squashfs
squash casper.upper casper.disc/casper/minimal.standard.squashfs
cat >casper.disc/casper/install-sources.yaml <<-'END'
	- default: true
	  id: ubuntu-desktop
	  name:
	    en: Default selection
	  path: minimal.standard.squashfs
	  type: fsimage-layered
	  variant: desktop
END
iso casper Ubuntu

root fedora
mkdir -p fedora.disc/LiveOS fedora.inner/LiveOS
truncate -s 16M fedora.inner/LiveOS/rootfs.img
mke2fs -q -t ext4 -d fedora.root fedora.inner/LiveOS/rootfs.img
squash fedora.inner fedora.disc/LiveOS/squashfs.img
iso fedora Fedora

mkdir openrc
tar -xf "$openrc" -C openrc
rm -rf ./*.root ./*.upper ./*.disc ./*.inner ./*.lower.tar ./*.upper.tar disk.raw disk.ext4
