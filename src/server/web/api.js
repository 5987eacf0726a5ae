// What the page asks of its server, and the errors as the reader is to see them.

export class ApiError extends Error {
  // kind: 'key', 'busy', 'request', 'server', 'lost'
  constructor(kind, message, retryAfter = null) {
    super(message);
    this.kind = kind;
    this.retryAfter = retryAfter;
  }
}

const LOST = 'The connection to the server was lost.';

function headers(key) {
  const all = {'Content-Type': 'application/json'};
  if (key) all.Authorization = `Bearer ${key}`;
  return all;
}

async function errorOf(response) {
  let message = '';
  try {
    const body = await response.json();
    message = body?.error?.message || body?.message || '';
  } catch {
    // Not every status comes with JSON.
  }
  const {status} = response;
  if (status === 401 || status === 403) return new ApiError('key', message || 'This server wants an API key.');
  if (status === 429 || status === 503) {
    const seconds = Number.parseFloat(response.headers.get('Retry-After') || '');
    const busy = status === 429 ? 'The server is busy.' : 'The server is not ready yet.';
    return new ApiError('busy', message || busy, Number.isFinite(seconds) ? Math.min(Math.max(seconds, 1), 600) : null);
  }
  if (status >= 500) return new ApiError('server', message || `The server failed (status ${status}).`);
  return new ApiError('request', message || `The server refused the request (status ${status}).`);
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, {...options, cache: 'no-store', credentials: 'same-origin'});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('lost', 'The server cannot be reached.');
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

// Ids of the models that the server has.
export async function listModels(key) {
  const response = await ask('/v1/models', {headers: headers(key)});
  const body = await response.json();
  return (body.data || []).map((model) => String(model.id));
}

// Data of server-sent events from a stream of bytes, however it is cut.
async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let pending = '';
  let data = [];
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ApiError('lost', LOST);
    }
    if (part.done) return;
    pending += part.value;
    const lines = pending.split(/\r\n|\n|\r(?!$)/);
    pending = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield data.join('\n');
        data = [];
      } else if (line.startsWith('data:')) {
        data.push(line.slice(line[5] === ' ' ? 6 : 5));
      }
    }
  }
}

// Streams an answer. Yields {content, reasoning, finish, usage, model}, what there is of them.
// Throws ApiError, and AbortError when `signal` is raised.
export async function* streamChat(request, key, signal) {
  const response = await ask('/v1/chat/completions', {
    method: 'POST',
    headers: headers(key),
    body: JSON.stringify({...request, stream: true, stream_options: {include_usage: true}}),
    signal,
  });
  let finished = false;
  for await (const text of events(response.body)) {
    if (text.trim() === '[DONE]') return;
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      throw new ApiError('server', 'The server sent something that is not an answer.');
    }
    if (event.error) {
      throw new ApiError('server', event.error.message || 'The server stopped with an error.');
    }
    const choice = event.choices?.[0];
    const delta = choice?.delta || {};
    if (choice?.finish_reason) finished = true;
    yield {
      content: typeof delta.content === 'string' ? delta.content : '',
      reasoning: delta.reasoning_content || delta.reasoning || '',
      finish: choice?.finish_reason || null,
      usage: event.usage || null,
      model: event.model || null,
    };
  }
  if (!finished) throw new ApiError('lost', LOST);
}
