// What this server has to choose from.

/** `key`: for a server that wants one; null. Gives {faces, avatars, voices}; `faces`: whether it has any now. */
export async function fetchOffers(key) {
  const headers = headersFor(key);
  const [health, avatars, voices] = await Promise.all([
    fetchJson("readyz", {}),
    fetchJson("v1/avatars", headers),
    fetchJson("v1/voices", headers),
  ]);
  return {
    faces: health?.deployments?.Avatar?.ready === true,
    avatars: avatars?.data ?? [],
    voices: voices?.data ?? [],
  };
}

/** An ImageBitmap; null where there is none. */
export async function fetchPicture(path, key) {
  try {
    const answer = await fetch(new URL(path.replace(/^\//, ""), document.baseURI), { headers: headersFor(key) });
    return await createImageBitmap(await answer.blob());
  } catch {
    return null;
  }
}

function headersFor(key) {
  return key ? { Authorization: `Bearer ${key}` } : {};
}

/** Null where there is nothing to be had: a server may be older, without a stage, or want a key first. */
async function fetchJson(path, headers) {
  try {
    return await (await fetch(new URL(path, document.baseURI), { headers })).json();
  } catch {
    return null;
  }
}
