package input

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of linux/input.h: _IOR('E', number, length) and, for EVIOCGRAB, _IOW.
const (
	iocRead  = 2
	iocWrite = 1
)

func request(direction, number, length uintptr) uintptr {
	return direction<<30 | length<<16 | 'E'<<8 | number
}

// bits asks for a set of bits: EVIOCGPROP (0x09), EVIOCGKEY (0x18), EVIOCGBIT (0x20 + type of event).
const (
	askProperties = 0x09
	askKeys       = 0x18
	askEvents     = 0x20
	askAxis       = 0x40
	grabDevice    = 0x90
	setClock      = 0xa0 // EVIOCSCLOCKID
)

// timeBytes is the length of the time at the beginning of struct input_event, eventBytes that of all of it.
const (
	timeBytes  = int(unsafe.Sizeof(unix.Timeval{}))
	eventBytes = timeBytes + 8
)

// bitset is a set of numbers as the kernel writes it; 768 is KEY_CNT.
type bitset [768 / 8]byte

func (b *bitset) has(n int) bool { return b[n/8]&(1<<(n%8)) != 0 }

// hasAny is whether one of from to to is in it.
func (b *bitset) hasAny(from, to int) bool {
	for n := from; n <= to; n++ {
		if b.has(n) {
			return true
		}
	}
	return false
}

// evdev is an open input device.
type evdev struct{ file *os.File }

// errNoUse is for devices that are nothing a guest has use for: power buttons, lid switches, joysticks, loudspeakers.
var errNoUse = errors.New("neither a keyboard nor a mouse")

// openEvdev opens a device and finds out what it is.
func openEvdev(path string) (*evdev, *source, error) {
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open the input device: %w", err)
	}
	d := &evdev{file}
	monotonic := int32(unix.CLOCK_MONOTONIC)
	// One that keeps the time of day (Linux before 3.4) has later times, of which none counts as too old.
	_ = d.ioctl(request(iocWrite, setClock, unsafe.Sizeof(monotonic)), unsafe.Pointer(&monotonic))
	a, err := d.abilities()
	if err != nil {
		_ = file.Close()
		return nil, nil, fmt.Errorf("ask the input device %s what it is: %w", path, err)
	}
	return d, &source{name: path, device: d, abilities: a}, nil
}

// abilities asks the device what it has.
func (d *evdev) abilities() (abilities, error) {
	var types, keys, rel, abs, props bitset
	for _, ask := range []struct {
		number uintptr
		into   *bitset
	}{{askEvents, &types}, {askEvents + evKey, &keys}, {askEvents + evRel, &rel}, {askEvents + evAbs, &abs}, {askProperties, &props}} {
		if err := d.ask(ask.number, ask.into); err != nil {
			return abilities{}, err
		}
	}
	a := classify(&types, &keys, &rel, &abs, &props)
	if a.tablet || a.touchpad {
		for i := range a.axes {
			axis, err := d.axis(uintptr(i))
			if err != nil {
				return abilities{}, err
			}
			a.axes[i] = axis
		}
	}
	if !a.keyboard && !a.mouse && !a.tablet && !a.touchpad {
		return a, errNoUse
	}
	return a, nil
}

// classify tells keyboards and mice from what a device has. A keyboard has keys of the main block or of the keypad: Esc to
// F12 (1 to 88), or 96 to 111; a device with nothing but a power key has not.
func classify(types, keys, rel, abs, props *bitset) abilities {
	a := abilities{
		keyboard: keys.hasAny(1, 88) || keys.hasAny(96, 111),
		mouse:    rel.has(relX) && rel.has(relY) && keys.has(btnLeft),
		lights:   types.has(evLED),
	}
	if abs.has(absX) && abs.has(absY) && (keys.has(btnLeft) || keys.has(btnTouch)) {
		a.touchpad = keys.has(btnToolFinger) && !props.has(propDirect)
		a.tablet = !a.touchpad
	}
	return a
}

// ask reads a set of bits.
func (d *evdev) ask(number uintptr, into *bitset) error {
	return d.ioctl(request(iocRead, number, uintptr(len(into))), unsafe.Pointer(into))
}

// axis reads the range of an absolute axis: struct input_absinfo.
func (d *evdev) axis(number uintptr) (axis, error) {
	var info struct{ value, minimum, maximum, fuzz, flat, resolution int32 }
	err := d.ioctl(request(iocRead, askAxis+number, unsafe.Sizeof(info)), unsafe.Pointer(&info))
	return axis{info.minimum, info.maximum}, err
}

func (d *evdev) grab(on bool) error {
	value := 0
	if on {
		value = 1
	}
	return d.control(func(fd int) error {
		return unix.IoctlSetInt(fd, uint(request(iocWrite, grabDevice, unsafe.Sizeof(int32(0)))), value)
	})
}

func (d *evdev) held() bool {
	var keys bitset
	return d.ask(askKeys, &keys) == nil && keys.hasAny(1, firstButton-1)
}

// light writes events to the device, as the kernel's own console does.
func (d *evdev) light(l Lights) {
	var message [4 * eventBytes]byte
	for i, e := range []Event{
		{evLED, ledScroll, int32(l & 1)}, {evLED, ledNum, int32(l >> 1 & 1)}, {evLED, ledCaps, int32(l >> 2 & 1)}, {evSyn, synReport, 0},
	} {
		b := message[i*eventBytes+timeBytes:]
		binary.NativeEndian.PutUint16(b, e.Type)
		binary.NativeEndian.PutUint16(b[2:], e.Code)
		binary.NativeEndian.PutUint32(b[4:], uint32(e.Value))
	}
	_, _ = d.file.Write(message[:]) // one that is unplugged needs none
}

func (d *evdev) ioctl(request uintptr, arg unsafe.Pointer) error {
	return d.control(func(fd int) error {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
			return errno
		}
		return nil
	})
}

// control runs f with the file descriptor. (os.File.Fd would make the file blocking.)
func (d *evdev) control(f func(fd int) error) error {
	conn, err := d.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// signed is a number in the machine's byte order, of 4 or 8 bytes.
func signed(b []byte) int64 {
	if len(b) == 4 {
		return int64(int32(binary.NativeEndian.Uint32(b)))
	}
	return int64(binary.NativeEndian.Uint64(b))
}

// clock is the time on the clock that devices are asked to stamp their events with (CLOCK_MONOTONIC), in microseconds.
func clock() int64 {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return now.Nano() / 1000
}

// events calls f for each event in what was read from a device, with the time on its clock, in microseconds.
func events(b []byte, f func(at int64, e Event)) {
	for ; len(b) >= eventBytes; b = b[eventBytes:] {
		word := timeBytes / 2 // struct timeval: seconds, microseconds
		at := signed(b[:word])*1_000_000 + signed(b[word:timeBytes])
		e := b[timeBytes:]
		f(at, Event{binary.NativeEndian.Uint16(e), binary.NativeEndian.Uint16(e[2:]), int32(binary.NativeEndian.Uint32(e[4:]))})
	}
}
