// Diskboot takes the place of the command boot in a machine that has a system of the method root on its disks instead of in a network:
// it copies the images where boot would fetch them, mounts them, and lets init take the system over. What it is told is in
// /diskboot.json, a catalog.Root.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/initramfs/hardware"
	"github.com/boottorrent/boottorrent/initramfs/launch"
	"github.com/boottorrent/boottorrent/initramfs/stay"
	"github.com/boottorrent/boottorrent/internal/catalog"
)

func main() {
	console, err := os.OpenFile("/dev/console", os.O_WRONLY, 0)
	if err != nil {
		os.Exit(1)
	}
	log := func(format string, args ...any) { fmt.Fprintf(console, "diskboot: "+format+"\r\n", args...) }
	if err := run(context.Background(), log); !errors.Is(err, launch.ErrSwitch) {
		log("failed: %v", err)
		os.Exit(boot.ExitPowerOff)
	}
	os.Exit(boot.ExitSwitch)
}

// plan is what the machine is to start.
type plan struct {
	Root catalog.Root
	// Disks are the devices with the images, in the order of Root.Images, and Sizes their sizes in bytes.
	Disks []string
	Sizes []int64
}

func run(ctx context.Context, log func(string, ...any)) error {
	var p plan
	data, err := os.ReadFile("/diskboot.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	if err := hardware.Load(ctx, log); err != nil {
		return err
	}
	const folder = "/systems/0123456789/system"
	for i, image := range p.Root.Images {
		if err := copyDisk(filepath.Join(folder, image.Path), p.Disks[i], p.Sizes[i]); err != nil {
			return err
		}
	}
	sys := catalog.System{Name: "system", Title: "System", Launch: catalog.Launch{Method: catalog.MethodRoot, Root: &p.Root}}
	method, err := launch.For(sys, nil)
	if err != nil {
		return err
	}
	job := launch.Job{System: sys, Dir: folder, Vars: map[string]string{"Hostname": "fromdhcp"}, Log: log}
	if err := method.Load(ctx, job); err != nil {
		return err
	}
	plan, err := json.Marshal(stay.Plan{System: sys})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(stay.PlanFile), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(stay.PlanFile, plan, 0o600); err != nil {
		return err
	}
	_, err = method.Start(ctx, job)
	return err
}

// copyDisk copies a disk, once it is there.
func copyDisk(to, device string, size int64) (err error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	source, err := os.Open(device)
	for end := time.Now().Add(time.Minute); errors.Is(err, os.ErrNotExist) && time.Now().Before(end); source, err = os.Open(device) {
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, err = io.CopyN(target, source, size)
	return err
}
