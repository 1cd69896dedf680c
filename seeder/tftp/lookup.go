package tftp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"

	"github.com/boottorrent/boottorrent/seeder/bootname"
)

// found is what is sent for a request.
type found struct {
	// name is that under which it is served; mended: the request had another.
	name    string
	mended  bool
	loader  bool // one of Config.Files
	content io.ReaderAt
	size    int64
	file    *os.File // nil for a document
}

func (f *found) close() {
	if f.file != nil {
		_ = f.file.Close()
	}
}

var errNotServed = errors.New("no such file is served")

// lookup finds what a client asks for at the address local. With err comes what the client is told.
func (s *Server) lookup(asked string, client, local netip.Addr) (*found, *refusal, error) {
	clean := bootname.Clean(asked)
	if s.cfg.Document != nil {
		if content, ok := s.cfg.Document(clean, local); ok {
			return &found{name: clean, content: bytes.NewReader(content), size: int64(len(content))}, nil, nil
		}
	}
	if s.cfg.Open != nil {
		file, err := s.cfg.Open(clean)
		if !errors.Is(err, fs.ErrNotExist) {
			return opened(clean, file, err)
		}
	}
	var files map[string]string
	if s.cfg.Files != nil {
		files = s.cfg.Files()
	}
	name, mended := bootname.Find(files, asked, s.clients.Last(client))
	if name == "" {
		return nil, &refusal{codeNotFound, "no such file here"}, errNotServed
	}
	file, err := os.Open(files[name])
	f, refused, err := opened(name, file, err)
	if f != nil {
		f.mended, f.loader = mended, true
	}
	return f, refused, err
}

// sayMissing logs why a client gets nothing, and returns what that is to Config.Observe.
func (s *Server) sayMissing(log *slog.Logger, client netip.AddrPort, name string, err error) Outcome {
	if errors.Is(err, errNotServed) && (bootname.Optional(name) || s.cfg.Probed != nil && s.cfg.Probed(bootname.Clean(name))) {
		log.Debug("TFTP: not there, and need not be")
		return Optional
	}
	s.warn("missing "+client.Addr().String()+name, "TFTP: not sent", "client", client, "file", printable(name), "err", err)
	if errors.Is(err, errNotServed) || errors.Is(err, fs.ErrNotExist) {
		return Missing
	}
	return Failed
}

// opened is a file that was opened, or could not be.
func opened(name string, file *os.File, err error) (*found, *refusal, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &refusal{codeNotFound, "the file is missing on the server; see its log"}, err
	}
	if err != nil {
		return nil, &refusal{codeUndefined, "the file can't be read on the server; see its log"}, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", file.Name())
	}
	if err != nil {
		_ = file.Close()
		return nil, &refusal{codeUndefined, "the file can't be read on the server; see its log"}, err
	}
	return &found{name: name, content: file, size: info.Size(), file: file}, nil, nil
}
