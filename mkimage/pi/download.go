package pi

import (
	"context"
	"fmt"
)

func (o Options) download(ctx context.Context) (string, error) {
	return "", fmt.Errorf("%s: no such folder", o.Firmware)
}
