// Wget fetches a file by HTTP.
//
// Synopsis:
//
//	wget [-O FILE] URL
//
// Description:
//
// The file is written under the last part of the URL's path, or to FILE; - is standard output. What was written when a transfer
// breaks off is removed.
//
// It takes the place of u-root's command of the same name, which knows more protocols and costs every node 48 KB.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "wget:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("wget", flag.ContinueOnError)
	output := flags.String("O", "", "the `FILE` to write; - is standard output")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("give one URL: wget [-O FILE] http://HOST/PATH")
	}
	address, err := url.Parse(flags.Arg(0))
	if err != nil || address.Scheme != "http" || address.Host == "" {
		return fmt.Errorf("%q is not of the form http://HOST/PATH", flags.Arg(0))
	}
	if *output == "" {
		*output = "index.html"
		if name := path.Base(address.Path); name != "/" && name != "." {
			*output = name
		}
	}
	body, err := get(ctx, address.String())
	if err != nil {
		return err
	}
	defer body.Close()
	if *output == "-" {
		_, err = io.Copy(stdout, body)
		return err
	}
	return save(*output, body)
}

func get(ctx context.Context, address string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	return response.Body, nil
}

func save(name string, content io.Reader) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err == nil {
		return nil
	}
	err = fmt.Errorf("write %s: %w", name, err)
	if statErr == nil && info.Mode().IsRegular() { // not /dev/null
		err = errors.Join(err, os.Remove(name))
	}
	return err
}
