/**
 * Pictures by the value that names them in the graph: undoing a stroke gives the layer the value it
 * had, whose pixels are shown at once. The oldest are forgotten, and loaded again if they are needed.
 */
import { contextOf, newCanvas, type Picture } from "./surface";

/** Bytes that all pictures may take. */
const MOST_BYTES = 768 * 2 ** 20;

export class Shelf {
  private readonly pictures = new Map<string, Picture>();
  private readonly loading = new Map<string, Promise<Picture>>();
  private bytes = 0;

  constructor(
    private readonly fetched: (url: string) => Promise<Picture> = loadPicture,
    private readonly most = MOST_BYTES,
  ) {}

  get(value: string): Picture | undefined {
    const picture = this.pictures.get(value);
    if (picture !== undefined) {
      // The end of the map is what was used last.
      this.pictures.delete(value);
      this.pictures.set(value, picture);
    }
    return picture;
  }

  keep(value: string, picture: Picture): void {
    this.bytes += bytesOf(picture) - bytesOf(this.pictures.get(value));
    this.pictures.delete(value);
    this.pictures.set(value, picture);
    for (const [oldest, dropped] of this.pictures) {
      if (this.bytes <= this.most || oldest === value) break;
      this.pictures.delete(oldest);
      this.bytes -= bytesOf(dropped);
    }
  }

  /** The picture of a value, from its URL if it is not here; the same request serves all. */
  load(value: string, url: string): Promise<Picture> {
    const known = this.get(value);
    if (known !== undefined) return Promise.resolve(known);
    const running = this.loading.get(value);
    if (running !== undefined) return running;
    const request = this.fetched(url)
      .then((picture) => {
        this.keep(value, picture);
        return picture;
      })
      .finally(() => this.loading.delete(value));
    this.loading.set(value, request);
    return request;
  }
}

/** Of all stages: leaving the view and coming back loads nothing again. */
export const shelf = new Shelf();

function bytesOf(picture: Picture | undefined): number {
  return picture === undefined ? 0 : picture.width * picture.height * 4;
}

async function loadPicture(url: string): Promise<Picture> {
  const element = new Image();
  element.src = url;
  await element.decode();
  const { naturalWidth: width, naturalHeight: height } = element;
  const image = newCanvas(width, height);
  contextOf(image, true).drawImage(element, 0, 0);
  return { image, width, height };
}
