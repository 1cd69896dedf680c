module github.com/anacrolix/sync

go 1.26.0
