package ipxe

// VESAPath is where the script finds [VESA] below its base.
const VESAPath = "/boot/vesa"

// VESA is a program that the script runs on machines with a BIOS: it asks the graphics card whether it has VESA's mode 118,
// 1024x768 in true colour. A Linux kernel that is told to set a mode which isn't there asks a person for another, and waits for half a
// minute (arch/x86/boot/video.c); there is no way to tell it what to do instead.
//
// It is a network boot program as PXE has them (PXE 2.1, section 4.4.5), which iPXE calls at 0:7C00 and takes for done well if it returns
// with AX = 0 (src/arch/x86/interface/pxe/pxe_call.c). What makes a mode possible are the conditions of vesa_set_mode in the
// kernel's arch/x86/boot/video-vesa.c: bits 0 (there), 3 (colours), 4 (graphics) and 7 (linear) of its attributes (VBE 2.0, function 01).
var VESA = vesa()

func vesa() []byte {
	program := make([]byte, 512) // with room for the 256 bytes of an answer from 7D00 on
	copy(program, []byte{
		0x60, 0x1e, 0x06, // pusha; push ds; push es
		0x31, 0xc0, 0x8e, 0xc0, // xor ax,ax; mov es,ax
		0xbf, 0x00, 0x7d, // mov di,7d00
		0xb8, 0x01, 0x4f, // mov ax,4f01
		0xb9, 0x18, 0x01, // mov cx,0118
		0xcd, 0x10, // int 10
		0x83, 0xf8, 0x4f, // cmp ax,004f
		0x75, 0x10, // jne no
		0x26, 0xa0, 0x00, 0x7d, // mov al,es:[7d00]
		0x24, 0x99, // and al,99
		0x3c, 0x99, // cmp al,99
		0x75, 0x06, // jne no
		0x07, 0x1f, 0x61, // pop es; pop ds; popa
		0x31, 0xc0, 0xcb, // xor ax,ax; retf
		0x07, 0x1f, 0x61, // no: pop es; pop ds; popa
		0xb8, 0x01, 0x00, 0xcb, // mov ax,1; retf
	})
	return program
}
