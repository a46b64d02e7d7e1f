/** The annotation that names the image a container was made from. */
export const IMAGE_ANNOTATION = "dev.crate.image";
