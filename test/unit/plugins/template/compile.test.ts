import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compile } from '../../../../agent/plugins/template/compile.ts';
import { TemplateError, type Value } from '../../../../agent/plugins/template/values.ts';

const DATA = new Map<string, Value>([
  ['Name', 'ip-0a7b.example.'],
  ['Empty', ''],
  ['Match', ['whole', 'one', 'two']],
  ['Group', new Map<string, Value>([['b', '7b']])],
  ['Number', 10],
  ['Meta', (label) => `meta of ${String(label)}`],
]);
const fill = (source: string): string => compile(source, [...DATA.keys()]).fill(DATA);

describe('a template', () => {
  for (const [source, expected] of [
    ['plain { text }', 'plain { text }'],
    ['{{.Name}} 60', 'ip-0a7b.example. 60'],
    ['{{ index .Match 1 }}{{ index .Match 2 }}', 'onetwo'],
    ['{{ .Group.b }}{{ .Group.none }}', '7b'],
    ['{{ index .Group "b" }}', '7b'],
    ['{{ parseInt .Group.b 16 8 }}', '123'],
    ['{{ .Group.b | printf "%s-%s" "x" }}', 'x-7b'],
    [
      '{{ printf "%02x:%X:%d:%5s|%-4s|%q|%%|%v" 10 171 7 "a" "b" "c" true }}',
      '0a:AB:7:    a|b   |"c"|%|true',
    ],
    ['{{ printf "%d" }}', '%!d(MISSING)'],
    ['{{ .Meta "a/b" }}', 'meta of a/b'],
    ['{{ if .Empty }}a{{ else if eq .Number 10 }}b{{ else }}c{{ end }}', 'b'],
    ['{{ if and .Name (not .Empty) }}yes{{ end }}', 'yes'],
    ['{{ if or .Empty "" }}yes{{ else }}no{{ end }}', 'no'],
    ['{{ with .Group }}{{ .b }}{{ $.Number }}{{ else }}none{{ end }}', '7b10'],
    ['{{ with .Empty }}a{{ else }}{{ .Number }}{{ end }}', '10'],
    ['{{ $x := index .Match 1 }}{{ $x }}{{ $x = "z" }}{{ $x }}', 'onez'],
    ['a {{- " b " -}} c', 'a b c'],
    ['a{{/* nothing */}}b{{- /* nothing */ -}} c', 'abc'],
    ['{{ slice .Name 3 7 }} {{ len .Name }}', '0a7b 16'],
    ['{{ print "a" 1 2 "b" }} {{ print `r\\n` }}', 'a1 2b r\\n'],
    ['{{ (index .Match 0) }} {{ lt 1 2 }} {{ ge "b" "a" }} {{ ne 1 1 }}', 'whole true true false'],
    ['{{ .Match }} {{ .Group }}', '[whole one two] map[b:7b]'],
    ['{{ eq .Number 1 2 0xa }}', 'true'],
  ] as const) {
    it(source, () => assert.equal(fill(source), expected));
  }

  it('lists the fields that it reads', () => {
    const { fields } = compile('{{ if .Name }}{{ $.Number }}{{ end }}', ['Name', 'Number']);
    assert.deepEqual([...fields], ['Name', 'Number']);
  });

  for (const source of [
    '{{ .Nope }}',
    '{{ $.Nope }}',
    '{{ nope }}',
    '{{ range .Match }}{{ end }}',
    '{{ template "x" }}',
    '{{ if .Name }}',
    '{{ if .Name }}{{ else }}{{ else }}{{ end }}',
    '{{ end }}',
    '{{ else }}',
    '{{ }}',
    '{{ $x }}',
    '{{ $x = 1 }}',
    '{{ (.Name }}',
    '{{ .Name ) }}',
    '{{ .Name | }}',
    '{{ "open }}',
    '{{ .Name',
    '{{ 1.5 }}',
    '{{ "\\x" }}',
    '{{ @ }}',
  ]) {
    it(`${source} is refused`, () => assert.throws(() => fill(source), { name: 'RangeError' }));
  }

  for (const source of [
    '{{ index .Match 3 }}',
    '{{ index .Number 1 }}',
    '{{ parseInt "300" 10 8 }}',
    '{{ parseInt "xyz" 10 8 }}',
    '{{ lt 1 "a" }}',
    '{{ eq 1 "1" }}',
    '{{ .Name.First }}',
    '{{ .Name "x" }}',
    '{{ len 5 }}',
    '{{ slice .Name 5 1 }}',
    '{{ printf "%f" 1 }}',
    '{{ .Meta }}{{ print printf }}',
  ]) {
    it(`${source} fails`, () => assert.throws(() => fill(source), TemplateError));
  }
});
