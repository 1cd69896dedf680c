package image

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable prints what takes how many bytes; verbose with every module and all firmware that is missing.
func (m *Manifest) WriteTable(w io.Writer, verbose bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "bytes\tMiB\tunpacked\t  \n")
	for _, f := range m.Files {
		fmt.Fprintf(t, "%d\t%s\t\t  %s%s\n", f.Size, mebibytes(f.Size), f.Name, m.describeFile(f.Name))
		if f.Name != InitramfsFile {
			continue
		}
		for _, p := range m.Parts {
			fmt.Fprintf(t, "%d\t%s\t%s\t    %s%s\n", p.Size, mebibytes(p.Size), mebibytes(p.Unpacked), p.Name, m.describePart(p))
		}
	}
	fmt.Fprintf(t, "%d\t%s\t\t  in all, paid once by each node\n", m.Size(), mebibytes(m.Size()))
	if m.SignedBy != nil {
		fmt.Fprintf(t, "\t\t\t  %s is signed by %s, %.16s…\n", UKIFile, m.SignedBy.Name, m.SignedBy.SHA256)
	}
	if verbose {
		m.writeDetails(t)
	}
	return t.Flush()
}

func (m *Manifest) describeFile(name string) string {
	if name != KernelFile {
		return ""
	}
	if m.Kernel.Package != "" {
		return ": " + m.Kernel.Package
	}
	return ": " + m.Kernel.Release
}

func (m *Manifest) describePart(p *Part) string {
	switch p.Name {
	case CommandsPart:
		return fmt.Sprintf(": %d commands, %s", len(m.Commands.Names), m.Commands.Go)
	case ModulesPart:
		text := fmt.Sprintf(": %d modules (%s)", len(m.Drivers.Modules), m.Drivers.Selection)
		if n := len(m.Drivers.Firmware); n > 0 {
			text += fmt.Sprintf(", %d firmware files", n)
		}
		return text
	}
	return ""
}

// writeDetails prints the files of the modules' part, and what is not in it.
func (m *Manifest) writeDetails(w io.Writer) {
	if p := m.Part(ModulesPart); p != nil {
		fmt.Fprintf(w, "\nabout\t\tunpacked\t  %s\n", p.Name)
		for _, f := range p.Files {
			fmt.Fprintf(w, "%d\t%s\t%s\t  %s\n", f.Share, mebibytes(f.Share), mebibytes(f.Size), f.Path)
		}
	}
	for _, list := range []struct {
		title string
		names []string
	}{
		{"built into the kernel", m.Drivers.Builtin},
		{"not in this kernel", m.Drivers.Absent},
		{"left out, as they need firmware that is not installed", m.Drivers.WithoutFirmware},
	} {
		if len(list.names) > 0 {
			fmt.Fprintf(w, "\n%s: %s\n", list.title, strings.Join(list.names, ", "))
		}
	}
	if len(m.Drivers.MissingFirmware) > 0 {
		fmt.Fprintf(w, "\nfirmware that drivers may ask for and that is not installed:\n")
		for _, f := range m.Drivers.MissingFirmware {
			fmt.Fprintf(w, "  %s (%s)\n", f.Path, f.Module)
		}
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.2f", float64(n)/(1<<20)) }
