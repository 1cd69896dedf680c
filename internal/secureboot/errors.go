package secureboot

import (
	"errors"
	"fmt"
	"syscall"
)

// errnos are the errors with which kexec_file_load(2) refuses a kernel for its signature (kimage_validate_signature in kernel/kexec_file.c,
// verify_pefile_signature in crypto/asymmetric_keys/verify_pefile.c). Debian's kernels say ENODATA, ENOKEY and EKEYREJECTED; EPERM comes where no
// signature is enforced, but the kernel is locked down.
var errnos = []struct {
	errno syscall.Errno
	means string
}{
	{syscall.EPERM, "starts no kernel without a signature that it can verify"},
	{syscall.ENODATA, "the new one is not signed"},
	{syscall.ENOKEY, "the new one is not signed by a key that this machine trusts"},
	{syscall.EKEYREJECTED, "the new one was changed after it was signed, or its signature was revoked"},
	{syscall.EKEYREVOKED, "the key that the new one is signed by was revoked"},
	{syscall.EBADMSG, "the new one's signature is broken"},
	{syscall.ELIBBAD, "the new one's signature is broken"},
	{syscall.ENOPKG, "does not know the algorithm of the new one's signature"},
}

// Means says what an error of kexec_file_load(2) means that a kernel gives which is locked down; empty: it is another error.
func Means(err error) string {
	for _, e := range errnos {
		if errors.Is(err, e.errno) {
			return "this machine's kernel is locked down, as with Secure Boot, and " + e.means
		}
	}
	return ""
}

// Explain adds to an error of kexec_file_load(2) what it means, if that has to do with signatures.
func Explain(err error) error {
	if why := Means(err); why != "" {
		return fmt.Errorf("%s (%w)", why, err)
	}
	return err
}
