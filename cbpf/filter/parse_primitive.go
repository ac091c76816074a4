package filter

import "errors"

// The primitives half of the parser: qualifiers, ids, and the words that are a
// test by themselves.

// test reads what begins with a keyword where a test may stand.
func (p *parser) test() (value, error) {
	switch t := p.tok; t.kind {
	case tokCast:
		return p.cast(ProtoNone, t.at)
	case tokLenTest:
		p.advance()
		n, err := p.number("a number of bytes")
		return p.testValue(&TestLen{Greater: t.value == 1, N: n.value}, t.at.Start, err)
	case tokByte:
		return p.byteTest()
	case tokDirection:
		p.advance()
		return p.testValue(&TestDirection{Outbound: t.value == 1}, t.at.Start, nil)
	case tokIfIndex:
		p.advance()
		n, err := p.number("an interface index")
		return p.testValue(&TestIfIndex{N: n.value}, t.at.Start, err)
	case tokEncap:
		return p.encapsulation()
	case tokMissing:
		e := errorAt(t.at, "not supported yet: %s (%q)", missingFeatures[t.value], t.text)
		if before := p.last[1].text; t.text == "type" && (before == "icmp" || before == "icmp6") {
			e.Hint = write("%s[%stype] = …", before, before)
		}
		return value{}, e
	}
	return value{}, p.unexpected()
}

// testValue makes an operand of a test that ends before the next token.
func (p *parser) testValue(t Test, start int, err error) (value, error) {
	if err != nil {
		return value{}, err
	}
	at := Span{Start: start, End: p.last[1].at.End}
	switch t := t.(type) {
	case *TestAbbrev:
		t.At = At(at)
	case *TestCast:
		t.At = At(at)
	case *TestLen:
		t.At = At(at)
	case *TestByte:
		t.At = At(at)
	case *TestDirection:
		t.At = At(at)
	case *TestIfIndex:
		t.At = At(at)
	case *TestEncap:
		t.At = At(at)
	}
	return p.value(classTerm, t, nil, at), nil
}

// number takes a number, for which what says what it means.
func (p *parser) number(what string) (token, error) {
	if p.tok.kind != tokNumber {
		return token{}, p.unexpected(what)
	}
	return p.advance(), nil
}

// afterProto reads on after a protocol word: it may be indexed, qualify what
// follows, or stand alone.
func (p *parser) afterProto(t token) (v value, complete bool, err error) {
	proto := Proto(t.value)
	switch {
	case p.tok.kind == '[':
		at := Span{Start: t.at.Start, End: p.advance().at.End}
		err = p.push(frame{kind: frameIndex, want: p.want, proto: proto, at: at})
		p.want = atArith
		return v, false, err
	case p.want&wantTerm == 0:
		return v, false, p.unexpected("\"[\"")
	case p.tok.kind == tokDir, p.tok.kind == tokType, p.tok.kind == tokUndirected:
		return v, false, p.head(Qualifiers{Proto: proto, ProtoAt: t.at}, t.at)
	case p.tok.kind == tokCast:
		v, err = p.cast(proto, t.at)
	case p.tok.kind == tokMissing && p.tok.value == missing80211:
		v, err = p.test()
	default:
		v, err = p.testValue(&TestAbbrev{Proto: proto}, t.at.Start, nil)
	}
	return v, true, err
}

// cast reads "broadcast" or "multicast".
func (p *parser) cast(proto Proto, first Span) (value, error) {
	word := p.advance()
	return p.testValue(&TestCast{Proto: proto, Multicast: word.value == 1}, first.Start, nil)
}

// head reads "[dir] [type]" after the protocol in q, and pushes all of it.
func (p *parser) head(q Qualifiers, first Span) error {
	if p.tok.kind == tokDir {
		if err := p.direction(&q); err != nil {
			return err
		}
	}
	if k := p.tok.kind; k == tokType || k == tokUndirected && q.Dir == DirNone {
		t := p.advance()
		q.Type, q.TypeAt = Type(t.value), t.at
	}
	err := p.push(frame{kind: frameHead, want: p.want, quals: &q, at: first})
	p.want = atID
	p.quals = &Qualifiers{Proto: q.Proto, Dir: q.Dir, Type: q.Type}
	return err
}

// direction reads "src", "dst", "src or dst" and so on into q.
func (p *parser) direction(q *Qualifiers) error {
	t := p.advance()
	q.Dir, q.DirAt = Dir(t.value), t.at
	if q.Dir > DirDst || p.tok.kind != tokAnd && p.tok.kind != tokOr {
		return nil
	}
	// Only the other direction can follow: "src or port 80" is nothing.
	op, other := p.advance(), DirSrc+DirDst-q.Dir
	if p.tok.kind != tokDir || Dir(p.tok.value) != other {
		err := p.unexpected("\"" + other.String() + "\"")
		if e, ok := errors.AsType[*Error](err); ok && e.Hint == "" {
			e.Hint = write("%v %s %v …", q.Dir, op.text, other)
		}
		return err
	}
	q.Dir, q.DirAt.End = DirOr, p.advance().at.End
	if op.kind == tokAnd {
		q.Dir = DirAnd
	}
	return nil
}

// byteTest reads "byte INDEX op VALUE".
func (p *parser) byteTest() (value, error) {
	start := p.advance().at.Start
	index, err := p.number("an offset")
	if err != nil {
		return value{}, err
	}
	op := p.tok.kind
	switch op {
	case '=', '<', '>', '&', '|':
		p.advance()
	default:
		return value{}, p.unexpected("\"=\"", "\"<\"", "\">\"", "\"&\"", "\"|\"")
	}
	n, err := p.number("a number")
	return p.testValue(&TestByte{Op: byte(op), Index: index.value, Value: n.value}, start, err)
}

// encapsulation reads "vlan", "vlan 5" and their like. The number may stand in
// parentheses.
func (p *parser) encapsulation() (value, error) {
	word := p.advance()
	t := &TestEncap{Layer: EncapKind(word.value)}
	if t.Layer == EncapPPPoED {
		return p.testValue(t, word.at.Start, nil)
	}
	depth := 0
	for p.tok.kind == '(' {
		p.advance()
		depth++
	}
	if p.tok.kind == tokNumber {
		t.HasID, t.ID = true, p.advance().value
	} else if depth > 0 {
		return value{}, p.unexpected("a number")
	}
	for ; depth > 0; depth-- {
		if p.tok.kind != ')' {
			return value{}, p.unexpected("\")\"")
		}
		p.advance()
	}
	return p.testValue(t, word.at.Start, nil)
}

// isID reports whether a token is an id other than a number.
func isID(k kind) bool {
	switch k {
	case tokName, tokIPv4, tokIPv6, tokMAC, tokMAC8:
		return true
	}
	return false
}

// id reads an id other than a number: a name or an address, with the length or mask that
// belongs to it.
func (p *parser) id() (value, error) {
	t := p.advance()
	id := ID{Text: t.text, At: t.at}
	switch t.kind {
	case tokName:
		id.Kind = IDName
	case tokMAC:
		id.Kind = IDMAC
	case tokMAC8:
		id.Kind = IDMAC8
	case tokIPv4:
		id.Kind = IDIPv4
	case tokIPv6:
		id.Kind = IDIPv6
	}
	switch {
	case p.tok.kind == '/' && (t.kind == tokIPv4 || t.kind == tokIPv6):
		p.advance()
		n, err := p.number("a prefix length")
		if err != nil {
			return value{}, err
		}
		id.Kind++ // IDIPv4Len follows IDIPv4, IDIPv6Len follows IDIPv6
		id.Number, id.At.End = n.value, n.at.End
	case p.tok.kind == tokMask && t.kind == tokIPv4:
		p.advance()
		if p.tok.kind != tokIPv4 {
			return value{}, p.unexpected("a mask such as 255.255.255.0")
		}
		m := p.advance()
		id.Kind, id.Mask, id.At.End = IDIPv4Mask, m.text, m.at.End
	}
	return p.primitive(id, p.want)
}

// numberID turns a number into an id.
func (p *parser) numberID(v *value) (err error) {
	at := v.at
	n := v.arith.(*Number)
	id := ID{Kind: IDNumber, Text: p.scan.src[n.At.Start:n.At.End], Number: n.Value, At: n.At}
	*v, err = p.primitive(id, v.want)
	v.at = at
	return err
}

// primitive makes an id with the qualifiers that it inherits.
func (p *parser) primitive(id ID, w want) (value, error) {
	if p.quals == nil {
		return value{}, p.bareID(id)
	}
	n := &Primitive{Quals: *p.quals, ID: id, At: id.At}
	v := value{class: classID, want: w, node: n, quals: p.quals, at: id.At}
	return v, nil
}
