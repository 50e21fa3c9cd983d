/** Fast methods of Node's Buffer that exist in every version but not in its type package. */
interface Buffer {
  latin1Slice(start?: number, end?: number): string;
  latin1Write(text: string, offset?: number): number;
}
