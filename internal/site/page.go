package site

import (
	"github.com/boottorrent/boottorrent/internal/self"
)

// Page says who may do what on the seeder's page, and by its API over HTTP.
type Page struct {
	// Password is the bcrypt hash of what a person must know to change something; empty: nothing can be changed there.
	Password string
	// Read is PageOpen or PagePassword.
	Read string
}

// The values of Page.Read: everyone in the network may read the page, or who knows the password.
const (
	PageOpen     = "open"
	PagePassword = "password"
)

func readPage(m *mapping) (p Page) {
	p.Password = m.passwordHash("password")
	p.Read = m.oneOf("read", PageOpen, PageOpen, PagePassword)
	if p.Read == PagePassword && m.isEmpty("password") {
		m.check.problem(m.place("read"), "page.read asks for a password, and there is none", "make one with '"+self.Seeder()+" password', and write it with password:")
	}
	m.done()
	return p
}
