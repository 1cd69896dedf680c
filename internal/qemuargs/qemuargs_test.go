package qemuargs

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/boottorrent/boottorrent/internal/arch"
	"github.com/boottorrent/boottorrent/internal/need"
)

func TestParse(t *testing.T) {
	words := strings.Fields("--cdrom a,b.iso -enable-kvm -drive file=my,,disk.img,media=cdrom -M q35,accel=kvm:tcg -m 1.5g disk.img -net")
	opts := Parse(words)
	if got := strings.Join(opts.Words(), " "); got != strings.Join(words, " ")[1:] {
		t.Errorf("words: %s", got)
	}
	if opts.Machine() != "q35" || opts.Memory() != 3<<29 || !slices.Equal(opts.Accelerators(), []string{"kvm", "kvm", "tcg"}) || !opts.PC() || !opts.Writable() {
		t.Errorf("%+v", opts)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{"256": 256 << 20, "1G": 1 << 30, "1.5g": 3 << 29, "4096k": 4 << 20, "x": 0, "-1": 0, "": 0, "1e30": 0} {
		if got := parseSize(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}

func TestFiles(t *testing.T) {
	for args, want := range map[string]string{
		"-cdrom a,b.iso -hda disk.img":              "-cdrom=a,b.iso -hda=disk.img",
		"-drive file=my,,disk.img,if=virtio":        "-drive file=my,disk.img",
		"-drive if=none,file.filename=a":            "-drive file.filename=a",
		"disk.img":                                  "the disk image=disk.img",
		"-blockdev driver=qcow2,file.filename=a":    "-blockdev file.filename=a",
		`-blockdev {"file":{"filename":"b","x":1}}`: "-blockdev=b",
		"-initrd a,b":                               "-initrd=a -initrd=b",
		"-acpitable sig=X,data=a:b":                 "-acpitable=a -acpitable=b",
		"-device e1000,romfile=":                    "",
		"-device e1000,romfile=x.rom":               "-device romfile=x.rom",
		"-option-rom x.rom -boot order=c,splash=s":  "-option-rom=x.rom -boot splash=s",
		"-virtfs local,path=shared,mount_tag=x":     "-virtfs path=shared",
		"-net user,tftp=files":                      "-net tftp=files",
		"-fw_cfg name=x,file=y -smbios file=z":      "-fw_cfg file=y -smbios file=z",
		"-m 256 -net nic -display none":             "",
	} {
		var got []string
		for _, f := range Parse(strings.Fields(args)).Files() {
			got = append(got, f.Option+"="+f.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s names %q, want %s", args, got, want)
		}
	}
}

func TestLocal(t *testing.T) {
	for name, want := range map[string]string{
		"disk.img": "disk.img", "a/b:c": "a/b:c", "file:x": "x", "nbd:host:1": "", "http://x/y": "", "fat:rw:dir": "",
		`json:{"driver":"qcow2","file":{"driver":"file","filename":"x"}}`: "x", `json:{"file.filename":"nbd:x:1"}`: "", "json:{": "",
	} {
		if got := strings.Join(Local(name), " "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestGone(t *testing.T) {
	for args, want := range map[string]string{
		"-soundhw ac97": "-device AC97", "-soundhw hda,sb16": "-device intel-hda -device hda-duplex -device sb16", "-soundhw all": "a sound card",
		"-localtime": "-rtc base=localtime", "-net nic,vlan=0": "vlan", "-net user,vlan=0,hostfwd=tcp::1-:2": "vlan",
		"-M pc-0.14": "-machine pc", "-machine type=pc-q35-2.0": "-machine q35", "-drive file=a,boot=on": "-boot order=c",
		"-usbdevice disk:a": "usb-storage", "-device ide-drive,drive=x": "ide-hd", "-redir tcp:22::22": "hostfwd",
		"-net nic -net user": "", "-M pc-q35-2.10": "", "-M pc-i440fx-2.0": "", "-usbdevice tablet": "", "-drive file=boot,if=ide": "", "-device AC97": "",
	} {
		what, do := Parse(strings.Fields(args))[0].Gone()
		if want == "" && what != "" || want != "" && (what == "" || !strings.Contains(what+do, want)) {
			t.Errorf("%s: %q, %q, want %q", args, what, do, want)
		}
	}
}

// QEMU itself is asked whether it still takes what is said to be gone, and whether it takes what is said to replace it.
func TestGoneAsQEMUSaysIt(t *testing.T) {
	qemu := need.Command(t, "qemu-system-x86_64", "qemu-system-x86")
	ask := func(args ...string) string {
		cmd := exec.Command(qemu, append([]string{"-S", "-display", "none", "-monitor", "stdio", "-no-user-config"}, args...)...)
		cmd.Stdin = strings.NewReader("quit\n")
		out, err := cmd.CombinedOutput()
		if err == nil {
			return ""
		}
		return string(out)
	}
	// Which options there are QEMU says before anything else, and all at once can't be asked.
	for name := range gone {
		args := []string{"-" + name, "x"}
		if slices.Contains(bare, name) {
			args = args[:1]
		}
		if said := ask(args...); said == "" {
			t.Errorf("QEMU takes -%s", name)
		}
	}
	for _, args := range []string{"-net nic,vlan=0", "-M pc-0.14", "-M pc-1.3", "-M pc-q35-2.0", "-drive if=none,boot=on", "-usbdevice disk:x",
		"-device ide-drive", "-device scsi-disk", "-drive if=none,serial=1", "-drive if=none,cyls=1", "-net user,name=x"} {
		if what, _ := Parse(strings.Fields(args))[0].Gone(); what == "" || ask(strings.Fields(args)...) == "" {
			t.Errorf("QEMU takes %s, or Gone doesn't know it (%q)", args, what)
		}
	}
	for _, args := range []string{"-device AC97 -device ES1370 -device sb16 -device intel-hda -device hda-duplex", "-device virtio-balloon", "-rtc base=localtime",
		"-device i6300esb", "-machine pcspk-audiodev=snd -audiodev none,id=snd", "-vga std"} {
		if said := ask(strings.Fields(args)...); said != "" {
			t.Errorf("%s: %s", args, said)
		}
	}
}

func TestWithoutKVM(t *testing.T) {
	for args, want := range map[string]string{
		"-enable-kvm -cpu host,+avx -m 1":       "-cpu max,la57=off,+avx -m 1",
		"-machine q35,accel=kvm -cpu host":      "-machine q35 -cpu max,la57=off",
		"-machine accel=kvm,kernel_irqchip=off": "",
		"-accel kvm -cpu qemu64":                "-cpu qemu64",
		"-drive file=a,,b":                      "-drive file=a,,b",
	} {
		kept, _ := Parse(strings.Fields(args)).WithoutKVM(arch.AMD64)
		if got := strings.Join(kept.Words(), " "); got != want {
			t.Errorf("%s becomes %s, want %s", args, got, want)
		}
	}
}

// qemu-img, which wrote the format's specification, makes the images.
func TestChainOfQEMUsImages(t *testing.T) {
	img := need.Command(t, "qemu-img", "qemu-utils")
	dir := t.TempDir()
	make := func(args ...string) {
		cmd := exec.Command(img, args...)
		cmd.Dir = dir
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("qemu-img %q: %v\n%s", args, err, said)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	make("create", "-f", "qcow2", "base.qcow2", "1M")
	make("create", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "over.qcow2")
	make("create", "-f", "qcow2", "-b", "../over.qcow2", "-F", "qcow2", "sub/top.qcow2")
	make("create", "-f", "qcow2", "-o", "compat=0.10", "-b", "base.qcow2", "-F", "qcow2", "old.qcow2")
	make("create", "-f", "qcow2", "-b", filepath.Join(dir, "base.qcow2"), "-F", "qcow2", "absolute.qcow2")
	make("create", "-f", "qcow2", "-o", "data_file=data.raw", "external.qcow2", "1M")
	make("create", "-f", "qcow2", "-b", `json:{"driver":"qcow2","file":{"driver":"file","filename":"base.qcow2"}}`, "-u", "-F", "qcow2", "json.qcow2", "1M")
	make("create", "-f", "qcow2", "-b", "nbd:host:1", "-u", "-F", "raw", "remote.qcow2", "1M")
	make("create", "-f", "qed", "-b", "base.qcow2", "-F", "qcow2", "over.qed")
	make("create", "-f", "vmdk", "-o", "subformat=monolithicFlat", "flat.vmdk", "1M")
	make("create", "-f", "vmdk", "-o", "subformat=twoGbMaxExtentSparse", "split.vmdk", "1M")
	make("create", "-f", "vmdk", "mono.vmdk", "1M")
	make("create", "-f", "raw", "plain.img", "1M")
	images := []string{"base.qcow2", "over.qcow2", "sub/top.qcow2", "old.qcow2", "absolute.qcow2", "external.qcow2", "json.qcow2", "remote.qcow2", "over.qed",
		"flat.vmdk", "split.vmdk", "mono.vmdk", "plain.img"}
	check := func(want map[string]string) {
		t.Helper()
		for _, image := range images {
			missing, err := Chain(os.DirFS(dir), image)
			got := ""
			for _, m := range missing {
				got += fmt.Sprintf("%s of %s;", filepath.Base(m.Name), m.Image)
			}
			if err != nil || got != want[image] {
				t.Errorf("%s: %q, %v, want %q", image, got, err, want[image])
			}
		}
	}
	check(map[string]string{"absolute.qcow2": "base.qcow2 of absolute.qcow2;"})
	for _, name := range []string{"data.raw", "flat-flat.vmdk", "split-s001.vmdk"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	check(map[string]string{"absolute.qcow2": "base.qcow2 of absolute.qcow2;", "external.qcow2": "data.raw of external.qcow2;",
		"flat.vmdk": "flat-flat.vmdk of flat.vmdk;", "split.vmdk": "split-s001.vmdk of split.vmdk;"})
	if err := os.Rename(filepath.Join(dir, "base.qcow2"), filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if missing, err := Chain(os.DirFS(dir), "sub/top.qcow2"); err != nil || len(missing) != 1 || missing[0] != (Missing{"over.qcow2", "base.qcow2", true}) {
		t.Errorf("%+v, %v", missing, err)
	}
}

func TestDamagedImages(t *testing.T) {
	header := make([]byte, 104)
	copy(header, "QFI\xfb")
	binary.BigEndian.PutUint32(header[4:], 3)
	binary.BigEndian.PutUint64(header[8:], 1<<20)
	binary.BigEndian.PutUint32(header[16:], 50)
	for name, content := range map[string][]byte{"a backing file's name behind the end": header, "too long a name": append(header[:16:16], "\xff\xff\xff\xff................................................................................"...)} {
		if _, err := Chain(fstest.MapFS{"x": {Data: content}}, "x"); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
	self := append([]byte(nil), header...)
	binary.BigEndian.PutUint64(self[8:], 104)
	binary.BigEndian.PutUint32(self[16:], 1)
	if missing, err := Chain(fstest.MapFS{"x": {Data: append(self, 'x')}}, "x"); err != nil || len(missing) != 0 {
		t.Errorf("an image on itself: %v, %v", missing, err)
	}
}

func FuzzReferences(f *testing.F) {
	for _, magic := range []string{"QFI\xfb\x00\x00\x00\x03", "QED\x00", "KDMV", "# Disk DescriptorFile\nRW 1 FLAT \"a\" 0\n"} {
		f.Add([]byte(magic + strings.Repeat("\x00", 512)))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if d, err := References(strings.NewReader(string(content))); err == nil && len(d.Names) > len(content) {
			t.Errorf("%d names", len(d.Names))
		}
	})
}
