// Package floppy makes floppy disks that a PC's BIOS starts, whose boot sectors are programs of our own: guests that show what
// a virtual machine on a node can do. They are machine code in bytes, with the assembler's words beside it.
package floppy

import "encoding/binary"

// What the programs print, on the screen and on the first serial port.
const (
	// Marker is printed by [Echo] when it runs, and for each key typed a line with Key and its character.
	Marker = "BOOTTORRENT-FLOPPY-OK"
	Key    = "key="
	// Scribbled is printed by [Scribbler] when it has written all over the disk.
	Scribbled = "BOOTTORRENT-SCRIBBLED"
)

const (
	// size is that of a disk of 3.5 inches in high density, in bytes.
	size   = 1440 << 10
	sector = 512
	// origin is where a BIOS loads a boot sector.
	origin = 0x7c00
)

// start is the beginning of both programs, at offset 0.
var start = []byte{
	0xfa,       // cli
	0x31, 0xc0, // xor ax, ax
	0x8e, 0xd8, // mov ds, ax
	0x8e, 0xd0, // mov ss, ax
	0xbc, 0x00, 0x7c, // mov sp, 0x7c00
	0xfb,       // sti
	0xeb, 0x26, // jmp main, behind both routines
}

// Both routines write the text at ds:si, which ends with a zero byte: show on the screen (int 0x10, function 0x0e), send to the
// serial port at 0x3f8.
var (
	show = []byte{
		0xac,       // show: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x09, // jz done
		0xb4, 0x0e, // mov ah, 0x0e
		0xbb, 0x07, 0x00, // mov bx, 7
		0xcd, 0x10, // int 0x10
		0xeb, 0xf2, // jmp show
		0xc3, // done: ret
	}
	send = []byte{
		0xac,       // send: lodsb
		0x84, 0xc0, // test al, al
		0x74, 0x11, // jz done
		0x88, 0xc4, // mov ah, al
		0xba, 0xfd, 0x03, // mov dx, 0x3fd
		0xec,       // wait: in al, dx
		0xa8, 0x20, // test al, 0x20
		0x74, 0xfb, // jz wait
		0x88, 0xe0, // mov al, ah
		0xb2, 0xf8, // mov dl, 0xf8
		0xee,       // out dx, al
		0xeb, 0xea, // jmp send
		0xc3, // done: ret
	}
)

const (
	showAt = 0x0d
	sendAt = 0x1c
)

// program is a boot sector in the making.
type program struct{ code []byte }

func newProgram() *program {
	p := &program{}
	p.add(start...)
	p.add(show...)
	p.add(send...)
	return p
}

func (p *program) add(bytes ...byte) { p.code = append(p.code, bytes...) }

// say prints the text at an offset, first on the screen and, two fifths of a second later, to the serial port: a BIOS without a
// screen shows there what is on it, up to four ticks of its clock late (220 ms), and the two must not mix.
func (p *program) say(at int) {
	p.call(showAt, at)
	p.add(
		0xb4, 0x86, // mov ah, 0x86
		0xb9, 0x06, 0x00, 0xba, 0x80, 0x1a, // mov cx, 6; mov dx, 0x1a80: 400,000 microseconds
		0xcd, 0x15, // int 0x15
	)
	p.call(sendAt, at)
}

// call calls a routine with the text at an offset.
func (p *program) call(routine, text int) {
	p.add(0xbe, byte((origin+text)&0xff), byte((origin+text)>>8)) // mov si, text
	p.add(0xe8)                                                   // call
	p.code = binary.LittleEndian.AppendUint16(p.code, uint16(routine-(len(p.code)+2)))
}

// jump jumps to an offset nearby; condition is the opcode.
func (p *program) jump(condition byte, to int) { p.add(condition, byte(to-(len(p.code)+2))) }

// disk returns the floppy disk, with texts and data at their offsets in the boot sector.
func (p *program) disk(data map[int]string) []byte {
	out := make([]byte, size)
	copy(out, p.code)
	for at, text := range data {
		copy(out[at:], text)
	}
	out[510], out[511] = 0x55, 0xaa
	return out
}

// Echo is a disk whose program prints [Marker], and then every key that is typed.
func Echo() []byte {
	const greeting, line = 0x100, 0x140
	p := newProgram()
	p.add(0xb8, 0x03, 0x00, 0xcd, 0x10)             // mov ax, 3; int 0x10: a clean screen of 80 by 25
	p.add(0xb4, 0x01, 0xb9, 0x00, 0x20, 0xcd, 0x10) // mov ah, 1; mov cx, 0x2000; int 0x10: no cursor, which would blink
	p.say(greeting)
	again := len(p.code)
	p.add(0x31, 0xc0, 0xcd, 0x16)                                          // xor ax, ax; int 0x16: wait for a key
	p.add(0xa2, byte((origin+line+len(Key))&0xff), byte((origin+line)>>8)) // mov [its place], al
	p.say(line)
	p.jump(0xeb, again)
	return p.disk(map[int]string{greeting: "\r\n" + Marker + "\r\n\x00", line: Key + "?\r\n\x00"})
}

// Scribbler is a disk whose program writes all over the first hard disk, of so many sectors (a multiple of 64, up to 65535 times
// 64), and then prints [Scribbled].
func Scribbler(sectors int) []byte {
	const text, packet, count, failed = 0x100, 0x180, 0x1a0, 0x140
	const at = 64
	p := newProgram()
	p.add(
		0xb8, 0x00, 0x10, // mov ax, 0x1000
		0x8e, 0xc0, // mov es, ax
		0x31, 0xff, // xor di, di
		0xb9, 0x00, 0x40, // mov cx, 0x4000
		0xb8, 0x5a, 0xa5, // mov ax, 0xa55a
		0xf3, 0xab, // rep stosw
	)
	again := len(p.code)
	p.add(
		0xbe, byte((origin+packet)&0xff), byte((origin+packet)>>8), // mov si, packet
		0xb8, 0x00, 0x43, // mov ax, 0x4300: write (EDD 1.1)
		0xb2, 0x80, // mov dl, 0x80: the first hard disk
		0xcd, 0x13, // int 0x13
		0x72, 0x00, // jc bad, filled in below
	)
	bad := len(p.code) - 1
	p.add(
		0x83, 0x06, byte((origin+packet+8)&0xff), byte((origin+packet+8)>>8), at, // add word [sector], 64
		0x83, 0x16, byte((origin+packet+10)&0xff), byte((origin+packet+10)>>8), 0x00, // adc word [sector+2], 0
		0xff, 0x0e, byte((origin+count)&0xff), byte((origin+count)>>8), // dec word [count]
	)
	p.jump(0x75, again) // jnz
	p.say(text)
	halt := len(p.code)
	p.add(0xf4) // hlt
	p.jump(0xeb, halt)
	p.code[bad] = byte(len(p.code) - (bad + 1))
	p.say(failed)
	p.jump(0xeb, halt)

	// A disk address packet: size, number of sectors, where in memory, first sector.
	dap := []byte{16, 0, at, 0, 0, 0, 0x00, 0x10, 0, 0, 0, 0, 0, 0, 0, 0}
	return p.disk(map[int]string{text: "\r\n" + Scribbled + "\r\n\x00", failed: "\r\nthe disk can't be written\r\n\x00", packet: string(dap),
		count: string(binary.LittleEndian.AppendUint16(nil, uint16(sectors/at)))})
}
