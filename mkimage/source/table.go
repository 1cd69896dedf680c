package source

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/boottorrent/boottorrent/internal/text"
)

// WriteTable prints what was made, how large it is, and where it came from.
func (r *Result) WriteTable(w io.Writer) error {
	for i, s := range r.Systems {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s (%s)\n", s.Dir, s.Title, r.Kind)
		if err := s.writeTable(w); err != nil {
			return err
		}
	}
	return nil
}

func (s *System) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "bytes\tsize\t  \n")
	var all int64
	for _, f := range s.Files {
		info, err := os.Stat(s.Path(f.Name))
		if err != nil {
			return err
		}
		all += info.Size()
		fmt.Fprintf(t, "%d\t%s\t  %s: %s\n", info.Size(), text.Size(info.Size()), f.Name, f.From)
	}
	fmt.Fprintf(t, "%d\t%s\t  in all\n", all, text.Size(all))
	return t.Flush()
}
