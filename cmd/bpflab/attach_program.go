package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bpflab/bpflab/ebpf"
	"github.com/bpflab/bpflab/ebpf/kernel"
	"github.com/bpflab/bpflab/ebpf/object"
)

// A placement is a program of an object and a hook for it.
type placement struct {
	program string
	hook    kernel.Hook
}

// attachProgram runs the program in a file until the end.
func (r *attachRun) attachProgram(ctx context.Context, file string) error {
	data, err := r.readCode(file)
	if err != nil {
		return err
	}
	if r.action != "" || r.extended {
		return usagef("--action and --ebpf are for filters, and %s is a program", file)
	}
	if isELF(data) {
		return r.attachObject(ctx, file, data)
	}
	p, err := r.programIn(file, data, 0)
	switch {
	case err != nil:
		return err
	case p.classic != nil:
		h, err := r.filterHook()
		if err != nil {
			return err
		}
		link, err := r.linkOf(h)
		if err != nil {
			return err
		}
		return r.runClassic(ctx, h, link, p.classic)
	case len(r.hooks) != 1:
		return usagef("a program that is no object takes one --to; %d are given", len(r.hooks))
	case r.program+r.progType != "" || len(r.vars)+len(r.sizes) > 0:
		return usagef("--prog, --type, --var and --map-size are for ELF objects, and %s is none", file)
	}
	linked, err := plainLinked(file, data, r.hooks[0])
	if err != nil {
		return inFile(file, err)
	}
	return r.runLinked(ctx, linked, nil, []placement{{linked.Programs[0].Name, r.hooks[0]}})
}

// plainLinked makes what an object would give of a program that is none.
func plainLinked(file string, data []byte, h kernel.Hook) (*object.Linked, error) {
	plain, err := plainProgram(data, h.Kind.Type())
	if err == nil {
		err = ebpf.Validate(plain.Insns)
	}
	if err != nil {
		return nil, err
	}
	name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	p := linkedProgram(name, h.Kind.Type(), plain.Insns)
	if h.Kind == kernel.HookTracepointBTF {
		const rawTracepoint = 23 // BPF_TRACE_RAW_TP
		p.AttachType, p.AttachTo = rawTracepoint, h.Where
	}
	return &object.Linked{Programs: []object.LinkedProgram{p}, Maps: plain.Maps}, nil
}

// attachObject runs the programs of an object.
func (r *attachRun) attachObject(ctx context.Context, file string, data []byte) error {
	typ, err := r.givenType()
	if err != nil {
		return err
	}
	if typ == 0 && len(r.hooks) > 0 {
		typ = r.hooks[0].Kind.Type()
	}
	obj, err := r.readObject(file, data, typ)
	if err != nil {
		return err
	}
	if err := r.changeObject(obj); err != nil {
		return err
	}
	places, err := r.place(obj)
	if err != nil {
		return inFile(file, err)
	}
	var names []string
	for _, p := range places {
		if !slices.Contains(names, p.program) {
			names = append(names, p.program)
		}
	}
	linked, err := obj.Link(names...)
	if err != nil {
		return usage(inFile(file, err))
	}
	return r.runLinked(ctx, linked, obj.Types, places)
}

// place finds a hook for each program, or the program of --prog: those of --to
// first, then the one that the section names. Programs that others call by tail
// calls need none.
func (r *attachRun) place(obj *object.Object) (places []placement, _ error) {
	candidates, err := r.candidates(obj)
	if err != nil {
		return nil, err
	}
	for _, h := range r.hooks {
		fits := slices.DeleteFunc(slices.Clone(candidates), func(p *object.Program) bool { return !h.Kind.Fits(p) })
		switch len(fits) {
		case 0:
			return nil, usagef("no program for %v: the hook runs programs of type %v, there is %s", h, h.Kind.Type(), typesOf(candidates))
		case 1:
			places = append(places, placement{fits[0].Name, h})
		default:
			return nil, usagef("several programs fit %v, choose one with --prog: %s", h, typesOf(fits))
		}
	}
	for _, p := range candidates {
		if slices.ContainsFunc(places, func(at placement) bool { return at.program == p.Name }) {
			continue
		}
		if h, ok := kernel.HookOf(p); ok {
			places = append(places, placement{p.Name, h})
		} else {
			r.say("program %s is not attached: section %q leaves open where, say it with --to", p.Name, p.Section)
		}
	}
	if len(places) == 0 {
		return nil, usagef("nothing to attach: say where with --to")
	}
	return places, nil
}

// candidates are the programs that could be attached.
func (r *attachRun) candidates(obj *object.Object) (all []*object.Program, _ error) {
	if r.program != "" {
		p, err := chooseProgram(obj, r.program)
		return []*object.Program{p}, err
	}
	called := map[string]bool{}
	for i := range obj.Maps {
		for _, e := range obj.Maps[i].Contents {
			called[e.Program] = true
		}
	}
	for i := range obj.Programs {
		if p := &obj.Programs[i]; !called[p.Name] {
			all = append(all, p)
		}
	}
	return all, nil
}

func typesOf(programs []*object.Program) string {
	var texts []string
	for _, p := range programs {
		texts = append(texts, p.Name+" ("+p.Type.String()+")")
	}
	return strings.Join(texts, ", ")
}

// runLinked loads programs, attaches them and shows what they produce until the
// end.
func (r *attachRun) runLinked(ctx context.Context, l *object.Linked, types []byte, places []placement) error {
	if err := r.preload(l); err != nil {
		return err
	}
	c, loaded, err := r.load(l, types)
	if err != nil {
		return err
	}
	defer c.Close()
	show, err := r.newShow(c, l, types)
	if err != nil {
		return err
	}
	defer show.close()
	byName := map[string]*kernel.Program{}
	for i, p := range loaded {
		byName[l.Programs[i].Name] = p
	}
	if err := show.attachAll(byName, places); err != nil {
		return err
	}
	if r.options.Pin != "" {
		return nil
	}
	return show.run(ctx)
}

// attachAll attaches programs: all, or none, also where they are pinned.
func (s *show) attachAll(programs map[string]*kernel.Program, places []placement) (err error) {
	dir := "" // for several pins
	made := false
	if s.options.Pin != "" && len(places) > 1 {
		dir = s.options.Pin
		switch err := os.Mkdir(dir, 0o700); {
		case err == nil:
			made = true
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	for _, at := range places {
		if err = s.attach(programs[at.program], at, dir); err != nil {
			break
		}
	}
	if err == nil || s.options.Pin == "" {
		return err
	}
	for _, a := range s.attached {
		err = errors.Join(err, a.Unpin())
	}
	if made {
		err = errors.Join(err, os.Remove(dir))
	}
	return err
}

// attach attaches a program, and pins it in a directory of pins unless that is
// "". At a socket it begins a capture where nothing else is to be shown, or
// with -w.
func (s *show) attach(p *kernel.Program, at placement, dir string) error {
	others := len(s.watches)+len(s.records) > 0
	switch {
	case s.output == "-" && others:
		return usagef("-w - leaves no room for records and maps on standard output")
	case at.hook.Kind == kernel.HookSocket && (s.output != "" || !others) && s.options.Pin == "":
		return s.beginCapture(p, at.hook)
	case s.output != "":
		return usagef("-w is for filters and for programs at a socket: others show records and maps")
	}
	o := s.options
	if at.hook.Kind != kernel.HookTCXIn && at.hook.Kind != kernel.HookTCXOut {
		o.Order = kernel.Order{}
	}
	if !at.hook.Kind.OnInterface() {
		o.Netns = ""
	}
	if dir != "" {
		o.Pin = filepath.Join(dir, at.program+"-"+at.hook.Kind.String())
	}
	a, err := s.attachTo(p, at.hook, o)
	if err == nil {
		s.attached = append(s.attached, a)
	}
	return err
}

// beginCapture captures what a program lets through at a socket.
func (s *show) beginCapture(p *kernel.Program, h kernel.Hook) (err error) {
	if s.capture != nil {
		return usagef("one socket is captured from at a time")
	}
	s.capture, err = s.openCapture(h, kernel.CaptureOptions{Program: p})
	s.socket = h
	return err
}
