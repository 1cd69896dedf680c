#!/bin/bash
# roots.sh FOLDER SUITE SOURCES...: makes the root file systems that rooms boot, of Debian's packages. SUITE is the release's name, SOURCES
# are files as in sources.list(5). In FOLDER are then
#   debian.squashfs  a whole Debian with two kernels, that gets its address by DHCP and has a login (root, password root) on ttyS0
#   live.initrd      the initrd of its first kernel, with live-boot
#   busybox.tar      busybox as init, which says ROOT-OK
#   openrc.tar       OpenRC, started by busybox as Alpine does; a service of it says OPENRC-OK
set -euo pipefail
out=$1 suite=$2
shift 2
cd "$out"

# Drivers that no emulated machine has: without them the image, which emulated machines fetch at some 2 MB/s, has 120 MB instead of 200.
foreign=(
	drivers/{gpu,media,iio,infiniband,hwmon,staging,comedi,mtd,isdn,platform,bluetooth,target,edac,leds,crypto,thunderbolt,nfc}
	drivers/net/{wireless,can,dsa,ieee802154,wwan,fddi} drivers/scsi/{lpfc,qla2xxx,bfa,bnx2fc,bnx2i,cxgbi,csiostor,qedf,qedi,be2iscsi,qla4xxx,aic7xxx,aic94xx}
	sound lib/test_* net/{bluetooth,mac80211,wireless,sctp,tipc,rds,openvswitch,batman-adv,nfc,can,ceph}
	fs/{ocfs2,ceph,gfs2,jfs,nilfs2,f2fs,reiserfs,afs,orangefs,ubifs,ntfs3,nfsd,smb}
)

debian() {
	local without=(--dpkgopt='path-exclude=/usr/share/'{doc,man,locale,info}'/*')
	local path
	for path in "${foreign[@]}"; do
		without+=(--dpkgopt="path-exclude=/lib/modules/*/kernel/$path/*" --dpkgopt="path-exclude=/lib/modules/*/kernel/$path.ko")
	done
	mmdebstrap --variant=minbase --format=directory "${without[@]}" \
		--include=systemd-sysv,udev,dbus,procps,live-boot,linux-image-amd64,linux-image-cloud-amd64 \
		--customize-hook='echo root:root | chroot "$1" chpasswd' \
		--customize-hook='chroot "$1" systemctl enable systemd-networkd.service serial-getty@ttyS0.service' \
		"$suite" debian "$@"
	echo debian >debian/etc/hostname
	printf '127.0.0.1 localhost\n127.0.1.1 debian\n' >debian/etc/hosts
	: >debian/etc/machine-id
	printf '[Match]\nType=ether\n[Network]\nDHCP=ipv4\n[DHCPv4]\nClientIdentifier=mac\n' >debian/etc/systemd/network/room.network
	rm debian/boot/initrd.img-*-cloud-amd64
	mv debian/boot/initrd.img-*-amd64 live.initrd
	rm -f debian/initrd.img* debian/vmlinuz*
	mksquashfs debian debian.squashfs -quiet -no-progress -comp zstd
	rm -rf debian
}

# small NAME PACKAGES SOURCES...: unpacks packages without configuring them, lets busybox be every program that is not there, and
# lets the function NAME do the rest.
small() {
	local name=$1 packages=$2
	shift 2
	mmdebstrap --variant=extract --format=directory --include="busybox-static,$packages" "$suite" "$name" "$@"
	(
		cd "$name"
		mkdir -p proc sys dev run tmp root etc/init.d sbin bin usr/bin usr/sbin
		for applet in $(bin/busybox --list-full); do
			[ -e "$applet" ] || [ -e "usr/$applet" ] || ln -s /bin/busybox "$applet"
		done
		echo root::0:0:root:/root:/bin/sh >etc/passwd
		printf 'root::0:\nuucp::10:\n' >etc/group
		rm -rf usr/share/{doc,man,locale,perl*} usr/lib/x86_64-linux-gnu/perl* var/lib/{dpkg,apt} var/cache
		"$name"
	)
	tar --numeric-owner -cf "$name.tar" -C "$name" .
	rm -rf "$name"
}

# Says which root runs under which kernel, whether the process that stays is there, and whether a file can be written.
busybox() {
	cat >etc/inittab <<-'END'
		::sysinit:/etc/init.d/rcS
		ttyS0::respawn:-/bin/sh
	END
	cat >etc/init.d/rcS <<-'END'
		#!/bin/sh
		[ -e /proc/self ] || mount -t proc proc /proc
		[ -e /dev/ttyS0 ] || mount -t devtmpfs dev /dev
		echo written >/written
		echo "ROOT-OK name=$(cat /etc/root-name) kernel=$(uname -r) stays=$(ps | grep -c "[@]boottorrent") $(cat /written)"
	END
	chmod 755 etc/init.d/rcS
}

openrc() {
	cat >etc/inittab <<-'END'
		::sysinit:/sbin/openrc sysinit
		::sysinit:/sbin/openrc boot
		::wait:/sbin/openrc default
		ttyS0::respawn:-/bin/sh
		::shutdown:/sbin/openrc shutdown
	END
	mkdir -p etc/runlevels/sysinit etc/runlevels/boot etc/runlevels/default etc/runlevels/shutdown
	cat >etc/init.d/marker <<-'END'
		#!/sbin/openrc-run
		description="says that OpenRC runs"
		start() {
			ebegin "marker"
			echo "OPENRC-OK runlevel=$RC_RUNLEVEL kernel=$(uname -r)" >/dev/console
			eend 0
		}
	END
	chmod 755 etc/init.d/marker
	ln -s /etc/init.d/marker etc/runlevels/default/marker
}

debian "$@"
small busybox busybox-static "$@"
small openrc openrc "$@"
