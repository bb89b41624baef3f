export const name = 'hooks_in';
