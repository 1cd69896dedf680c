package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
)

// Command simulates what args say, prints a table and keeps the results as JSON.
//
//	bench sim [--scenario NAME] [--nodes N] [--racks N] [--seeder MBIT] [--link MBIT] [--uplink MBIT] [--image MIB]
//	          [--piece KIB] [--mirrors [--mirror MBIT] [--kept] [--rule peer|seeder|offered]] [--near N --far N] [--conns N] [--spread TIME] [--delay TIME] [--runs N] [--results DIR]
func Command(ctx context.Context, args []string, out io.Writer) error {
	s := Default()
	flags := flag.NewFlagSet("bench sim", flag.ContinueOnError)
	flags.StringVar(&s.Name, "scenario", "", "name of the scenario in the results")
	flags.IntVar(&s.Nodes, "nodes", s.Nodes, "nodes that want the image")
	flags.IntVar(&s.Racks, "racks", s.Racks, "racks they are spread over")
	seeder := flags.Float64("seeder", float64(s.Seeder)/1e6, "the seeder's link, in Mbit/s")
	link := flags.Float64("link", float64(s.Link)/1e6, "a node's link, in Mbit/s")
	uplink := flags.Float64("uplink", 0, "a rack's uplink, in Mbit/s; 0: no limit")
	image := flags.Int64("image", s.Size>>20, "size of the image, in MiB")
	piece := flags.Int64("piece", s.PieceLength>>10, "length of a piece, in KiB: 16 to 1024")
	flags.IntVar(&s.Near, "near", 0, "peers of the own rack in the tracker's lists, at most")
	flags.IntVar(&s.Far, "far", 0, "peers of other racks in them, at most; both 0: the tracker does not know the racks")
	flags.IntVar(&s.Conns, "conns", s.Conns, "connections of a node")
	flags.DurationVar(&s.Spread, "spread", s.Spread, "time over which the nodes come up")
	flags.DurationVar(&s.Delay, "delay", s.Delay, "delay of a message")
	flags.BoolVar(&s.Mirrors, "mirrors", false, "a mirror in each rack")
	mirror := flags.Float64("mirror", 1000, "a mirror's link, in Mbit/s")
	flags.BoolVar(&s.Kept, "kept", false, "the mirrors have the image from the start")
	rule := flags.String("rule", string(s.Rule), "what nodes make of what an incomplete mirror has: peer, seeder or offered")
	runs := flags.Int("runs", 1, "runs, each with another seed")
	results := flags.String("results", "", "folder for the results, as NAME.json; none: they are only printed")
	docs := flags.String("docs", "", "simulate nothing, but write the table of the sites in the results into this document")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *docs != "" {
		return write(cmp.Or(*results, "integration/bench/results/sim"), *docs)
	}
	s.Seeder, s.Link, s.Uplink = int64(*seeder*1e6), int64(*link*1e6), int64(*uplink*1e6)
	if s.Rule = Rule(*rule); s.Mirrors {
		s.Mirror = int64(*mirror * 1e6)
	} else {
		s.Rule = ""
	}
	s.Size, s.PieceLength = *image<<20, *piece<<10
	if *results != "" && s.Name == "" {
		return errors.New("--results needs a --scenario to name the file by")
	}
	all, err := repeat(ctx, s, *runs)
	if err != nil {
		return err
	}
	if *results != "" {
		if err := save(*results, s.Name, all); err != nil {
			return err
		}
	}
	return table(out, all)
}

func repeat(ctx context.Context, s Scenario, runs int) ([]Result, error) {
	var all []Result
	for run := range runs {
		s.Seed = uint64(run + 1)
		r, err := Run(ctx, s)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

func save(dir, name string, all []Result) error {
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".json"), append(text, '\n'), 0o644)
}

func table(out io.Writer, all []Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "nodes\tracks\tfirst s\tmedian s\tlast s\tT_min s\tratio\tcopies\track copies\tmost in\tmost out\tof mirror\tmirror s\tannounces/s\tat a mirror\trefused\twall s")
	for _, r := range all {
		fmt.Fprintf(w, "%d\t%d\t%.1f\t%.1f\t%.1f\t%.1f\t%.2f\t%.2f\t%.1f\t%.1f\t%.1f\t%.1f\t%.1f\t%d\t%d\t%d\t%.1f\n", r.Nodes, r.Racks, r.TFirst, r.TMedian, r.TLast, r.TMin,
			r.Ratio, r.SeederCopies, r.UplinkCopies, r.UplinkIn, r.UplinkOut, r.MirrorCopies, r.TMirror, r.AnnouncesPeak, r.MirrorAnnounces, r.SeederRefused, r.WallS)
	}
	return w.Flush()
}
