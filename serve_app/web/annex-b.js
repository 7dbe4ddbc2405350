// What a decoder must know of an H.264 access unit before it begins (ITU-T H.264 annex B and §7.3.2.1.1).

const SEQUENCE_PARAMETERS = 7; // nal_unit_type

/** The codec in the words of RFC 6381, `avc1.PPCCLL`, from the sequence parameter set; null where there is none. */
export function codecOf(unit) {
  for (let at = 0; at + 6 < unit.length; at++) {
    const starts = unit[at] === 0 && unit[at + 1] === 0 && unit[at + 2] === 1;
    if (!starts || (unit[at + 3] & 31) !== SEQUENCE_PARAMETERS) continue;
    const profile = [...unit.subarray(at + 4, at + 7)]; // profile_idc, constraint flags, level_idc
    return `avc1.${profile.map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  }
  return null;
}
