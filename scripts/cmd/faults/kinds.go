package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"time"

	"tlim/scripts/lab"
)

// How long what is stopped or cut off stays so; -longest changes it.
const minBroken, maxBroken = 2 * time.Second, 40 * time.Second

// scene is what a fault finds: a site that is whole.
type scene struct {
	*site
	leader, standby *process
	node            int // of the database, that does the work
	longest         time.Duration
	dice            *rand.Rand
}

// kind is a kind of fault. Its do breaks something, waits as long as it is to be broken, and heals it. It tells what it chose.
type kind struct {
	name string
	do   func(ctx context.Context, s *scene, note func(string)) error
}

// kinds are all of them, in the order of the table.
var kinds = []kind{
	{"the leader is killed", func(ctx context.Context, s *scene, note func(string)) error {
		return s.kill(ctx, s.leader, note)
	}},
	{"the standby is killed", func(ctx context.Context, s *scene, note func(string)) error {
		return s.kill(ctx, s.standby, note)
	}},
	{"the leader is ended in order", func(ctx context.Context, s *scene, note func(string)) error {
		s.leader.hold()
		defer s.leader.release()
		if err := s.leader.Stop(); err != nil { // on a busy machine the time can be over before all is finished: the rest comes again
			first, _, _ := strings.Cut(err.Error(), ";")
			note("its stop was not complete: " + first)
		}
		return s.flowing()
	}},
	{"the leader is stopped", func(ctx context.Context, s *scene, note func(string)) error {
		return s.halt(ctx, note, s.leader.Signal)
	}},
	{"the standby is stopped", func(ctx context.Context, s *scene, note func(string)) error {
		return s.halt(ctx, note, s.standby.Signal)
	}},
	{"the leader's machine dies", func(ctx context.Context, s *scene, note func(string)) error {
		s.leader.hold()
		defer s.leader.release()
		if err := s.leader.machine.cut("", bothWays); err != nil { // first: nobody hears that its connections end
			return err
		}
		if err := s.leader.Kill(); err != nil {
			return err
		}
		if err := s.flowing(); err != nil {
			return err
		}
		return s.leader.machine.mend()
	}},
	{"between leader and Openfire", func(ctx context.Context, s *scene, note func(string)) error {
		return s.sever(ctx, note, s.leader.machine, serverIP)
	}},
	{"the leader alone loses Openfire", func(ctx context.Context, s *scene, note func(string)) error {
		way := directions[s.dice.IntN(len(directions))]
		note(way.name)
		if err := s.leader.machine.cut(serverIP, way.direction); err != nil {
			return err
		}
		err := s.flowing() // by the other one
		if again := s.leader.machine.mend(); err == nil {
			err = again
		}
		return err
	}},
	{"between leader and database", func(ctx context.Context, s *scene, note func(string)) error {
		return s.sever(ctx, note, s.leader.machine, s.nodes[0].ip, s.nodes[1].ip, s.nodes[2].ip)
	}},
	{"between leader and its node", func(ctx context.Context, s *scene, note func(string)) error {
		return s.sever(ctx, note, s.leader.machine, s.nodes[s.node-1].ip)
	}},
	{"the node in use is killed", func(ctx context.Context, s *scene, note func(string)) error {
		return s.killNodes(ctx, note, s.node)
	}},
	{"another node is killed", func(ctx context.Context, s *scene, note func(string)) error {
		return s.killNodes(ctx, note, s.others()[0])
	}},
	{"the node in use is stopped", func(ctx context.Context, s *scene, note func(string)) error {
		return s.halt(ctx, note, s.signalNodes(s.node))
	}},
	{"another node is stopped", func(ctx context.Context, s *scene, note func(string)) error {
		return s.halt(ctx, note, s.signalNodes(s.others()[0]))
	}},
	{"two nodes are killed", func(ctx context.Context, s *scene, note func(string)) error {
		return s.killNodes(ctx, note, s.node, s.others()[0])
	}},
	{"two nodes are stopped", func(ctx context.Context, s *scene, note func(string)) error {
		return s.halt(ctx, note, s.signalNodes(s.node, s.others()[0]))
	}},
	{"between the node in use and the other two", func(ctx context.Context, s *scene, note func(string)) error {
		others := s.others()
		return s.sever(ctx, note, s.nodes[s.node-1], s.nodes[others[0]-1].ip, s.nodes[others[1]-1].ip)
	}},
	{"Openfire is killed", func(ctx context.Context, s *scene, note func(string)) error {
		if err := s.server.Kill(); err != nil {
			return err
		}
		starting, cancel := context.WithTimeout(ctx, startTime)
		defer cancel()
		return s.server.Start(starting)
	}},
	{"Openfire is stopped", func(ctx context.Context, s *scene, note func(string)) error {
		return s.halt(ctx, note, s.signal)
	}},
	{"the leader and the node in use are killed", func(ctx context.Context, s *scene, note func(string)) error {
		s.leader.hold()
		defer s.leader.release()
		if err := s.leader.Kill(); err != nil {
			return err
		}
		return s.killNodes(ctx, note, s.node)
	}},
}

func (s *scene) duration() time.Duration {
	return minBroken + time.Duration(s.dice.Int64N(int64(s.longest-minBroken)))
}

// others are the nodes that do not do the work, in a random order.
func (s *scene) others() []int {
	list := []int{s.node%3 + 1, (s.node+1)%3 + 1}
	s.dice.Shuffle(2, func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// flowing waits until messages flow while it is still broken.
func (s *scene) flowing() error { return s.journal.flows(enough, enoughPeople, recoverTime) }

// kill kills a tlim and keeps it away until messages flow.
func (s *scene) kill(ctx context.Context, p *process, note func(string)) error {
	back := s.dice.IntN(2) == 0 // as systemd does, or an administrator later
	if !back {
		note("stays away")
		p.hold()
		defer p.release()
	} else {
		note("starts at once")
		p.hold() // its end is no fault
	}
	if err := p.Kill(); err != nil {
		return err
	}
	if back {
		if err := pause(ctx, restartPause); err != nil {
			return err
		}
		p.release()
	}
	return s.flowing()
}

// halt stops a process for a while.
func (s *scene) halt(ctx context.Context, note func(string), signal func(syscall.Signal) error) error {
	d := s.duration()
	note(d.Round(100 * time.Millisecond).String())
	if err := signal(lab.Freeze); err != nil {
		return err
	}
	err := pause(ctx, d)
	if again := signal(lab.Thaw); err == nil {
		err = again
	}
	return err
}

func (s *scene) signalNodes(nodes ...int) func(syscall.Signal) error {
	return func(sig syscall.Signal) error {
		for _, n := range nodes {
			if err := s.cluster.Signal(n, sig); err != nil {
				return err
			}
		}
		return nil
	}
}

// killNodes kills nodes, and starts them again, after messages flow where those that are left can work.
func (s *scene) killNodes(ctx context.Context, note func(string), nodes ...int) error {
	note(fmt.Sprint("node ", nodes))
	for _, n := range nodes {
		if err := s.cluster.Kill(ctx, n); err != nil {
			return err
		}
	}
	if len(nodes) == 1 {
		if err := s.flowing(); err != nil {
			return err
		}
	} else if err := pause(ctx, s.duration()/4); err != nil {
		return err
	}
	for _, n := range nodes {
		healing, cancel := context.WithTimeout(ctx, recoverTime)
		err := s.cluster.Heal(healing, n)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// sever cuts a machine off from others for a while, one way or both.
func (s *scene) sever(ctx context.Context, note func(string), m *machine, others ...string) error {
	way, d := directions[s.dice.IntN(len(directions))], s.duration()
	note(fmt.Sprintf("%s of %s, %s", way.name, m.name, d.Round(100*time.Millisecond)))
	for _, other := range others {
		if err := m.cut(other, way.direction); err != nil {
			return err
		}
	}
	err := pause(ctx, d)
	if again := m.mend(); err == nil {
		err = again
	}
	return err
}
