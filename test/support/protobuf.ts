/** Protocol Buffers read without a schema: fields by number, in order. */

export type Fields = ReadonlyMap<number, readonly (number | Buffer)[]>;

export function readFields(message: Buffer): Fields {
  const fields = new Map<number, (number | Buffer)[]>();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = message[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const list = fields.get(key >> 3) ?? [];
    fields.set(key >> 3, list);
    const wire = key & 7;
    if (wire === 0) list.push(varint());
    else if (wire === 5) {
      list.push(message.readUInt32LE(at));
      at += 4;
    } else if (wire === 2) {
      const length = varint();
      list.push(message.subarray(at, at + length));
      at += length;
    } else throw new Error(`wire type ${wire}`);
  }
  return fields;
}
