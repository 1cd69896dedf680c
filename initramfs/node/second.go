package node

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

const (
	// secondConsole is the virtual terminal that Alt+F2 shows.
	secondConsole = "/dev/tty2"
	// secondPause is between two tries to open it.
	secondPause = 10 * time.Second
)

// SecondConsole offers a shell on the second virtual terminal, whatever the first one is busy with, until ctx ends. Where
// there is no screen it returns at once.
func (n *Node) SecondConsole(ctx context.Context) {
	if n.screen() == "" {
		return
	}
	for ctx.Err() == nil {
		if err := shellOnDemand(ctx, secondConsole, n.lock.locked); err != nil {
			n.Log("the second console: %v", err)
			sleep(ctx, secondPause)
		}
	}
}

// shellOnDemand waits for Enter on a terminal and then runs a shell there until that ends. (A shell at once would take memory for
// nothing on most machines.) Where the menu is locked then, there is none.
func shellOnDemand(ctx context.Context, device string, locked func() bool) error {
	tty, err := os.OpenFile(device, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer tty.Close()
	fmt.Fprint(tty, "\r\nBootTorrent: press Enter for a shell. Alt+F1 goes back.\r\n")
	stop := context.AfterFunc(ctx, func() { _ = tty.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := bufio.NewReaderSize(tty, 16).ReadString('\n'); err != nil {
		return fmt.Errorf("read from %s: %w", device, err)
	}
	if locked() {
		fmt.Fprint(tty, "\r\nThis machine's menu is locked: its shell (s) asks for the password. Alt+F1 goes there.\r\n")
		return nil
	}
	cmd := exec.CommandContext(ctx, "/bin/sh")
	cmd.Env = append(os.Environ(), "TERM=linux")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a shell on %s: %w", device, err)
	}
	_ = cmd.Wait() // how it ends is its own business
	return nil
}
