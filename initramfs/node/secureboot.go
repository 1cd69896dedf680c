package node

import (
	"errors"
	"fmt"

	"github.com/boottorrent/boottorrent/initramfs/boot"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/secureboot"
)

// logSecureBoot says what the firmware verifies, and whose kernels this one starts, where that is a question.
func (n *Node) logSecureBoot() {
	if !n.Secure.SecureBoot && !n.Secure.Locked {
		return
	}
	n.Log("Secure Boot: %s", n.Secure)
	switch {
	case n.Secure.Locked && n.Secure.NoKexecFile:
		n.Log("this kernel starts no other one: it can't verify any")
	case n.Secure.Locked && n.Secure.KeysKnown:
		n.Log("this kernel starts others that are signed by: %s", n.Secure.Signers())
	}
}

// refuses is why the running kernel would not start a system's; nil: nothing is known that speaks against it, or the system needs no other
// kernel than the running one.
func (n *Node) refuses(sys catalog.System) *secureboot.Refusal {
	signed, other := sys.Launch.Kernel()
	if sys.Launch.Method == catalog.MethodRoot {
		var err error
		if other, err = n.otherKernel(sys); err != nil {
			return nil // which says more
		}
	}
	if !other {
		return nil
	}
	if refusal := n.refused[sys.InfoHash]; refusal != nil {
		return refusal
	}
	var refusal *secureboot.Refusal
	errors.As(n.Secure.Refuses(signed), &refusal)
	return refusal
}

// rememberRefusal takes an error of starting a system, and remembers that a kernel which is locked down would not start the system's: who signed it
// was not in the catalog, or did not tell everything. So it is not downloaded and tried again and again.
func (n *Node) rememberRefusal(sys catalog.System, err error) error {
	means := secureboot.Means(err)
	if _, kernel := sys.Launch.Kernel(); !n.Secure.Locked || means == "" || !kernel {
		return err
	}
	if n.refused == nil {
		n.refused = map[catalog.InfoHash]*secureboot.Refusal{}
	}
	n.refused[sys.InfoHash] = &secureboot.Refusal{Why: means, Do: secureboot.HowToSign}
	return fmt.Errorf("%w: %w", boot.ErrRefused, err)
}
