// Serves HTTP on the socket that it was given (descriptor 3), and uses the runtime widely for each request.
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

func work(top string) error {
	directory, err := os.MkdirTemp(top, "d")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	name := filepath.Join(directory, "x")
	if err := os.WriteFile(name, make([]byte, 1000), 0o600); err != nil {
		return err
	}
	source, err := os.Open(name)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(name + "2")
	if err != nil {
		return err
	}
	defer target.Close()
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	for _, step := range []func() error{
		target.Sync,
		func() error { return target.Truncate(3) },
		func() error { return os.Rename(name, name+"3") },
		func() error { return os.Chmod(name+"3", 0o400) },
		func() error { return os.Chtimes(name+"3", time.Now(), time.Now()) },
		func() error { return os.Symlink("a", filepath.Join(directory, "l")) },
		func() error { _, err := os.Readlink(filepath.Join(directory, "l")); return err },
		func() error { _, err := os.ReadDir(directory); return err },
		func() error { return os.MkdirAll(filepath.Join(directory, "m/n"), 0o700) },
		func() error { return syscall.Flock(int(target.Fd()), syscall.LOCK_EX) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	var group sync.WaitGroup
	for i := 0; i < 50; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			runtime.LockOSThread()
			time.Sleep(time.Millisecond)
			random := make([]byte, 32)
			_, _ = rand.Read(random)
			sha256.Sum256(random)
		}()
	}
	group.Wait()
	zipped := gzip.NewWriter(&bytes.Buffer{})
	_, _ = zipped.Write(make([]byte, 10000))
	if err := zipped.Close(); err != nil {
		return err
	}
	_, _ = net.LookupHost("localhost")
	if connection, err := net.DialTimeout("tcp", "127.0.0.1:1", 100*time.Millisecond); err == nil {
		connection.Close()
	}
	_, _ = net.Interfaces()
	debug.FreeOSMemory()
	runtime.GC()
	return nil
}

func main() {
	top, err := os.MkdirTemp("", "hello")
	if err != nil {
		panic(err)
	}
	if err := exec.Command("/bin/true").Run(); err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		panic(err)
	}
	listener, err := net.FileListener(os.NewFile(3, "http"))
	if err != nil {
		panic(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		pprof.StopCPUProfile()
		_ = os.RemoveAll(top)
		os.Exit(0)
	}()
	panic(http.Serve(listener, http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		if err := work(top); err != nil {
			http.Error(answer, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(answer, "ok")
	})))
}
